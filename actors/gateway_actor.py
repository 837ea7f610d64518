"""`gateway:NODE`: the cloud's door. It knows who owns a stream, and hands chunks over."""

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
from codecsight.uplink.leases import Lease, LeaseError
from codecsight.uplink.messages import CameraStats, Dropped, Heartbeat, Hello, Reject, RejectReason

log = structlog.get_logger()

RENEW_S = 3.0
WORKER_RETRY_S = 2.0


class GatewayActor:
    """A gRPC server whose StreamHost is this actor: streams are claimed in the directory, chunks
    go to the worker that owns them, answers come back by the control calls. `directory` and
    `workers` are actors' names, so that a restarted gateway finds them again.
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
        """Serve as soon as the workers' models are there; returns the port. Calling it again
        changes nothing, or brings a gateway back to service that Ray has restarted.
        """
        if self._renewing is not None:
            return self._server.port
        names = [worker.model_name.remote() for worker in self._workers.values()]
        self._model = (await asyncio.gather(*names))[0]
        await self._report_workers()
        await self._server.start()
        self._renewing = asyncio.create_task(self._renew_for_ever())
        return self._server.port

    async def stop(self) -> None:
        """Stop taking calls and let those under way end."""
        await self._server.stop()

    async def open(self, hello: Hello) -> SessionGrant:
        """Claim the stream, and let its owner open it."""
        claim = self._directory.claim.remote(hello.stream)
        lease: Lease | str = await _reply("the directory", claim)
        if isinstance(lease, str):
            raise StreamRejected(RejectReason.NO_CAPACITY, lease, WORKER_RETRY_S)
        opened = await self._of(lease.owner, lambda worker: worker.open.remote(hello, lease.epoch))
        if isinstance(opened, Reject):
            raise StreamRejected(opened.reason, opened.detail, opened.retry_after_s)
        self._leases[hello.stream] = lease
        self._connected.add(hello.stream)
        opening: SessionGrant = opened
        return opening

    async def push(self, chunk: Chunk) -> str | None:
        """Hand a chunk to the stream's owner."""
        lease = self._leases.get(chunk.stream)
        if lease is None:
            detail = f"stream {chunk.stream}: its lease is over; connect again"
            raise StreamRejected(RejectReason.OLD_EPOCH, detail, 1.0)
        said = await self._of(lease.owner, lambda worker: worker.push.remote(chunk))
        if isinstance(said, Reject):
            raise StreamRejected(said.reason, said.detail, said.retry_after_s)
        reason: str | None = said
        return reason

    async def on_event(self, stream: str, message: Heartbeat | Dropped) -> None:
        """Keep a camera's numbers; say what was dropped."""
        if isinstance(message, Dropped):
            log.warning("slots dropped", stream=stream, reason=message.reason)
        elif message.stats is not None:
            self._cameras[stream] = message.stats

    async def on_disconnect(self, stream: str, epoch: int) -> None:
        """The stream stays its owner's until the lease runs out, so that it may come back."""
        if stream in self._leases and self._leases[stream].epoch == epoch:
            self._connected.discard(stream)

    async def ask(self, stream: str, question: Question) -> Answer:
        """Let the stream's owner answer."""
        lease = self._lease(stream)
        said = await self._of(lease.owner, lambda worker: worker.ask.remote(stream, question))
        if isinstance(said, str):
            raise CodecSightError(said)
        answer: Answer = said
        return answer

    async def ask_stream(
        self, stream: str, question: Question
    ) -> AsyncIterator[PartialAnswer | Answer]:
        """Let the stream's owner answer, and pass its words on."""
        owner = self._lease(stream).owner
        asking = self._workers[owner].ask_stream.options(num_returns="streaming")
        async for reply in asking.remote(stream, question):
            said = await _reply(f"the worker {owner}", reply)
            if isinstance(said, str):
                raise CodecSightError(said)
            yield said

    async def streams(self) -> list[StreamStatus]:
        """Every stream, with what its camera and its owner say of it."""
        windows: dict[str, StreamWindow] = {}
        for found in await self._all(lambda worker: worker.windows.remote()):
            windows |= found
        return [
            self._status_of(lease, windows.get(lease.stream))
            for _, lease in sorted(self._leases.items())
        ]

    async def status(self) -> CloudStatus:
        """The cloud itself."""
        workers: list[WorkerStatus] = await self._all(lambda worker: worker.status.remote())
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
            known = ", ".join(sorted(self._leases)) or "none"
            raise LeaseError(f"nobody watches the stream {stream!r}; watched: {known}")
        return self._leases[stream]

    async def _of(self, owner: str, call: Callable[[Any], Any]) -> Any:
        """A worker's reply. One that died comes back empty: its streams must connect again."""
        return await _reply(f"the worker {owner}", call(self._workers[owner]))

    async def _all(self, call: Callable[[Any], Any]) -> list[Any]:
        """The replies of all workers that are there."""
        said = await asyncio.gather(*map(call, self._workers.values()), return_exceptions=True)
        return [reply for reply in said if not isinstance(reply, BaseException)]

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._renew()
            except RayError as error:  # Ray is bringing the directory back, without its leases
                log.warning("no directory", error=type(error).__name__)

    async def _renew(self) -> None:
        """Prolong the leases of the streams that are connected, and part from those that are over:
        nobody has sent them for a whole lease, or the directory has lost its memory.
        """
        await self._report_workers()
        held = {name: lease for name, lease in self._leases.items() if name in self._connected}
        lost = set(await self._directory.renew.remote(list(held.values())))
        over = [lease for name, lease in held.items() if name in lost]
        for lease in [*over, *await self._directory.expire.remote()]:
            current = self._leases.get(lease.stream)
            if current is None or current.epoch <= lease.epoch:
                await self._let_go(lease)

    async def _let_go(self, lease: Lease) -> None:
        """The KV of this stream is wanted elsewhere; who still sends it must connect again."""
        log.info("stream let go", stream=lease.stream, owner=lease.owner)
        self._leases.pop(lease.stream, None)
        self._connected.discard(lease.stream)
        self._cameras.pop(lease.stream, None)
        with contextlib.suppress(StreamRejected):
            await self._of(lease.owner, lambda worker: worker.close.remote(lease.stream))

    async def _report_workers(self) -> None:
        for status in await self._all(lambda worker: worker.status.remote()):
            await self._directory.report.remote(status.name, status.kv_used, status.kv_total)


async def _reply(who: str, call: Any) -> Any:
    """What an actor of ours says. While Ray restarts it, whoever needs it must come again."""
    try:
        return await call
    except RayActorError as error:
        detail = f"{who} is restarting"
        raise StreamRejected(RejectReason.NO_CAPACITY, detail, WORKER_RETRY_S) from error
