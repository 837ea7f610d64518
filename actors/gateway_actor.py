"""`gateway:NODE`: the Ray actor that serves gRPC and routes streams to their workers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayError

from actors.rpc.gateway_server import GatewayServer
from actors.rpc.transport import load_tls_files
from codecsight import __version__
from codecsight.config.cloud_config import CloudConfig
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from codecsight.uplink.cloud_link import SessionGrant, StreamRejected
from codecsight.uplink.fleet import CloudStatus, StreamStatus, StreamWindow, WorkerStatus
from codecsight.uplink.leases import Lease, unknown_stream
from codecsight.uplink.messages import CameraStats, Dropped, Heartbeat, Hello, Reject, RejectReason

log = structlog.get_logger()

RENEW_INTERVAL_S = 3.0
WORKER_RETRY_S = 2.0


class GatewayActor:
    """Runs the gRPC server, and is its StreamHost.

    It claims streams in the directory, forwards each chunk to the worker that owns the stream, and
    returns the workers' answers. `directory` and `workers` are names of actors, so that a restarted
    gateway finds them again.
    """

    def __init__(self, config: CloudConfig, directory: str, workers: Sequence[str]) -> None:
        tls = config.tls
        self._directory = ray.get_actor(directory)
        self._workers = {name: ray.get_actor(name) for name in workers}
        self._leases: dict[str, Lease] = {}
        self._connected: set[str] = set()
        self._cameras: dict[str, CameraStats] = {}
        self._model = ""
        self._server = GatewayServer(
            self,
            config.listen,
            config.sites,
            load_tls_files(tls.ca, tls.cert, tls.key) if tls else None,
            heartbeat_s=config.heartbeat_s,
        )
        self._renewing: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Wait until the workers have loaded their models, then serve. Returns the port.

        Repeated calls do nothing, except that a gateway that Ray has restarted serves again.
        """
        if self._renewing is not None:
            return self._server.port
        names = [worker.model_name.remote() for worker in self._workers.values()]
        self._model = (await asyncio.gather(*names))[0]
        await self._report_workers()
        await self._server.start()
        self._renewing = asyncio.create_task(self._renew_loop())
        return self._server.port

    async def stop(self) -> None:
        """Reject new calls, and let running ones end."""
        await self._server.stop()

    async def open(self, hello: Hello) -> SessionGrant:
        """Claim the stream, and open it at its owner."""
        claim = self._directory.claim.remote(hello.stream)
        lease: Lease | str = await _await_reply("the directory", claim)
        if isinstance(lease, str):
            raise StreamRejected(RejectReason.NO_CAPACITY, lease, WORKER_RETRY_S)
        opened = await self._call(
            lease.owner, lambda worker: worker.open.remote(hello, lease.epoch)
        )
        if isinstance(opened, Reject):
            raise StreamRejected(opened.reason, opened.detail, opened.retry_after_s)
        self._leases[hello.stream] = lease
        self._connected.add(hello.stream)
        grant: SessionGrant = opened
        return grant

    async def push(self, chunk: Chunk) -> str | None:
        """Forward a chunk to the stream's owner."""
        lease = self._leases.get(chunk.stream)
        if lease is None:
            detail = f"stream {chunk.stream}: its lease has ended; connect again"
            raise StreamRejected(RejectReason.OLD_EPOCH, detail, 1.0)
        result = await self._call(lease.owner, lambda worker: worker.push.remote(chunk))
        if isinstance(result, Reject):
            raise StreamRejected(result.reason, result.detail, result.retry_after_s)
        anchor_reason: str | None = result
        return anchor_reason

    async def on_event(self, stream: str, message: Heartbeat | Dropped) -> None:
        """Store a camera's counters, or log dropped slots."""
        if isinstance(message, Dropped):
            log.warning("slots dropped", stream=stream, reason=message.reason)
        elif message.stats is not None:
            self._cameras[stream] = message.stats

    async def on_disconnect(self, stream: str, epoch: int) -> None:
        """Stop renewing the lease. The owner keeps the stream until it expires, for a reconnect."""
        if stream in self._leases and self._leases[stream].epoch == epoch:
            self._connected.discard(stream)

    async def ask(self, stream: str, question: Question) -> Answer:
        """Let the stream's owner answer the question."""
        lease = self._lease(stream)
        result = await self._call(lease.owner, lambda worker: worker.ask.remote(stream, question))
        if isinstance(result, str):
            raise CodecSightError(result)
        answer: Answer = result
        return answer

    async def ask_stream(
        self, stream: str, question: Question
    ) -> AsyncIterator[PartialAnswer | Answer]:
        """Let the stream's owner answer, and forward its partial answers."""
        owner = self._lease(stream).owner
        method = self._workers[owner].ask_stream.options(num_returns="streaming")
        async for reply in method.remote(stream, question):
            result = await _await_reply(f"the worker {owner}", reply)
            if isinstance(result, str):
                raise CodecSightError(result)
            yield result

    async def streams(self) -> list[StreamStatus]:
        """The status of every stream, from its lease, its camera and its owner."""
        windows: dict[str, StreamWindow] = {}
        for found in await self._call_all(lambda worker: worker.windows.remote()):
            windows |= found
        return [
            self._status_of(lease, windows.get(lease.stream))
            for _, lease in sorted(self._leases.items())
        ]

    async def status(self) -> CloudStatus:
        """The status of the cloud and its workers."""
        workers: list[WorkerStatus] = await self._call_all(lambda worker: worker.status.remote())
        return CloudStatus(f"codecsight {__version__}", self._model, tuple(workers))

    def _status_of(self, lease: Lease, window: StreamWindow | None) -> StreamStatus:
        window = window or StreamWindow(0, 0, ())
        return StreamStatus(
            site=lease.stream.partition(".")[0],
            stream=lease.stream,
            state="live" if window.tokens else "placing",
            camera=self._cameras.get(lease.stream),
            owner=lease.owner,
            epoch=lease.epoch,
            tokens=window.tokens,
            kv_blocks=window.kv_blocks,
            answers=window.answers,
        )

    def _lease(self, stream: str) -> Lease:
        if stream not in self._leases:
            raise unknown_stream(stream, self._leases)
        return self._leases[stream]

    async def _call(self, owner: str, call: Callable[[Any], Any]) -> Any:
        """Call a worker. After a restart it holds no streams, so they must connect again."""
        return await _await_reply(f"the worker {owner}", call(self._workers[owner]))

    async def _call_all(self, call: Callable[[Any], Any]) -> list[Any]:
        """The replies of all workers that respond."""
        replies = await asyncio.gather(*map(call, self._workers.values()), return_exceptions=True)
        return [reply for reply in replies if not isinstance(reply, BaseException)]

    async def _renew_loop(self) -> None:
        while True:
            await asyncio.sleep(RENEW_INTERVAL_S)
            try:
                await self._renew()
            except RayError as error:  # Ray restarts the directory, without its leases
                log.warning("directory not available", error=type(error).__name__)

    async def _renew(self) -> None:
        """Extend the leases of connected streams, and drop the streams whose lease has ended.

        A lease ends when its stream was not connected for the whole of it, or when the directory
        was restarted.
        """
        await self._report_workers()
        held = {name: lease for name, lease in self._leases.items() if name in self._connected}
        lost = set(await self._directory.renew.remote(list(held.values())))
        ended = [lease for name, lease in held.items() if name in lost]
        for lease in [*ended, *await self._directory.expire.remote()]:
            current = self._leases.get(lease.stream)
            if current is None or current.epoch <= lease.epoch:
                await self._drop_stream(lease)

    async def _drop_stream(self, lease: Lease) -> None:
        """Free the stream's KV blocks. An edge that still sends it must connect again."""
        log.info("stream dropped", stream=lease.stream, owner=lease.owner)
        self._leases.pop(lease.stream, None)
        self._connected.discard(lease.stream)
        self._cameras.pop(lease.stream, None)
        with contextlib.suppress(StreamRejected):
            await self._call(lease.owner, lambda worker: worker.close.remote(lease.stream))

    async def _report_workers(self) -> None:
        for status in await self._call_all(lambda worker: worker.status.remote()):
            await self._directory.report.remote(status.name, status.kv_used, status.kv_total)


async def _await_reply(actor: str, call: Any) -> Any:
    """Await an actor's reply. Raises StreamRejected, with a retry, while Ray restarts the actor."""
    try:
        return await call
    except RayActorError as error:
        detail = f"{actor} is restarting"
        raise StreamRejected(RejectReason.NO_CAPACITY, detail, WORKER_RETRY_S) from error
