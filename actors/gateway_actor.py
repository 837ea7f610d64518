"""`gateway:NODE`: the Ray actor that serves gRPC and routes streams to their workers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import ray
import structlog
from ray.exceptions import RayActorError, RayError

from actors.deadlines import (
    DIRECTORY_CALL_S,
    MODEL_LOAD_S,
    SERVER_STOP_S,
    STRAGGLER_S,
    WORKER_CALL_S,
    WORKER_JOB_S,
    WORKER_STATUS_S,
    DeadlineError,
    each_within,
    wait_at_most,
    within,
)
from actors.rpc.authorization import Roles
from actors.rpc.gateway_server import GatewayServer
from actors.rpc.transport import load_tls_files
from codecsight import __version__
from codecsight.config.cloud_config import CloudConfig
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from codecsight.logs import FailureLog, configure_logs
from codecsight.uplink.cloud_link import SessionGrant, StreamRejected
from codecsight.uplink.fleet import CloudStatus, StreamStatus, StreamWindow, WorkerStatus
from codecsight.uplink.leases import Lease, unknown_stream
from codecsight.uplink.messages import CameraStats, Dropped, Heartbeat, Hello, Reject, RejectReason

log = structlog.get_logger()

RENEW_INTERVAL_S = 3.0
REPORT_INTERVAL_S = 3.0
WORKER_RETRY_S = 2.0


BUILT_IN_MODEL_NOTE = (
    "the built-in model knows only the procedural world: its answers about this camera are "
    "guesses; set 'model' in cloud.yaml"
)


class GatewayActor:
    """Runs the gRPC server, and is its StreamHost.

    It claims streams in the directory, forwards each chunk to the worker that owns the stream, and
    returns the workers' answers. `directory` and `workers` are names of actors, so that a restarted
    gateway finds them again. A worker that does not respond delays only its own streams.
    """

    def __init__(self, config: CloudConfig, directory: str, workers: Sequence[str]) -> None:
        configure_logs("gateway")
        tls = config.tls
        self._directory = ray.get_actor(directory)
        self._workers = {name: ray.get_actor(name) for name in workers}
        self._leases: dict[str, Lease] = {}
        self._connected: set[str] = set()
        self._cameras: dict[str, CameraStats] = {}
        self._model = ""
        self._built_in_model = config.model is None
        self._guessed: set[str] = set()  # streams whose answers are guesses, warned about once
        self._server = GatewayServer(
            self,
            config.listen,
            Roles(config.sites, config.operators),
            load_tls_files(tls.ca, tls.cert, tls.key) if tls else None,
            heartbeat_s=config.heartbeat_s,
            max_questions=config.limits.questions,
        )
        self._starting = asyncio.Lock()
        self._serving = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = {name: FailureLog("worker", worker=name) for name in workers}
        self._directory_failures = FailureLog("directory")
        self._responding: set[str] = set()

    async def start(self) -> int:
        """Wait until the workers have loaded their models, then serve. Returns the port.

        Repeated calls do nothing, except that a gateway that Ray has restarted serves again.
        """
        async with self._starting:
            if not self._serving:
                self._model = await self._wait_for_models()
                await asyncio.gather(*map(self._report, self._workers))
                await self._server.start()
                self._serving = True
                self._run_in_background(self._renew_loop())
                for name in self._workers:
                    self._run_in_background(self._report_loop(name))
        return self._server.port

    async def stop(self) -> None:
        """Reject new calls, let running ones end, and renew no more leases."""
        await wait_at_most(SERVER_STOP_S, self._server.stop())
        for task in self._tasks:
            task.cancel()

    async def open(self, hello: Hello) -> SessionGrant:
        """Claim the stream, and open it at its owner."""
        claim = self._directory.claim.remote(hello.stream)
        lease: Lease | str = await _await_reply(DIRECTORY_CALL_S, claim, "the directory")
        if isinstance(lease, str):
            raise StreamRejected(RejectReason.NO_CAPACITY, lease, WORKER_RETRY_S)
        opened = await self._call(
            WORKER_CALL_S, lease.owner, lambda worker: worker.open.remote(hello, lease.epoch)
        )
        if isinstance(opened, Reject):
            raise StreamRejected(opened.reason, opened.detail, opened.retry_after_s)
        self._leases[hello.stream] = lease
        self._connected.add(hello.stream)
        if self._built_in_model and not hello.procedural and hello.stream not in self._guessed:
            self._guessed.add(hello.stream)
            log.warning(BUILT_IN_MODEL_NOTE, stream=hello.stream)
        log.warning("stream connected", stream=hello.stream, worker=lease.owner, epoch=lease.epoch)
        grant: SessionGrant = opened
        return grant

    async def push(self, chunk: Chunk) -> str | None:
        """Forward a chunk to the stream's owner."""
        lease = self._leases.get(chunk.stream)
        if lease is None:
            detail = f"stream {chunk.stream}: its lease has ended; connect again"
            raise StreamRejected(RejectReason.OLD_EPOCH, detail, 1.0)
        result = await self._call(
            WORKER_JOB_S, lease.owner, lambda worker: worker.push.remote(chunk)
        )
        if isinstance(result, Reject):
            raise StreamRejected(result.reason, result.detail, result.retry_after_s)
        anchor_reason: str | None = result
        return anchor_reason

    async def on_event(self, stream: str, message: Heartbeat | Dropped) -> None:
        """Store a camera's counters, or log dropped slots."""
        if isinstance(message, Dropped):
            log.warning("slots dropped", stream=stream, count=message.count, reason=message.reason)
        elif message.stats is not None:
            known = self._cameras.get(stream)
            self._cameras[stream] = message.stats
            if (trouble := message.stats.trouble) != (known.trouble if known else ""):
                log.warning("recording trouble", stream=stream, trouble=trouble or "over")

    async def on_disconnect(self, stream: str, epoch: int) -> None:
        """Stop renewing the lease. The owner keeps the stream until it expires, for a reconnect."""
        if stream in self._leases and self._leases[stream].epoch == epoch:
            self._connected.discard(stream)
            log.warning("stream disconnected", stream=stream, epoch=epoch)

    async def ask(self, stream: str, question: Question, max_age_s: float) -> Answer:
        """Let the stream's owner answer the question."""
        lease = self._lease(stream)
        result = await self._call(
            WORKER_JOB_S,
            lease.owner,
            lambda worker: worker.ask.remote(stream, question, max_age_s),
        )
        if isinstance(result, str):
            raise CodecSightError(result)
        answer: Answer = result
        return answer

    async def ask_stream(
        self, stream: str, question: Question, max_age_s: float
    ) -> AsyncIterator[PartialAnswer | Answer]:
        """Let the stream's owner answer, and forward its partial answers."""
        owner = self._lease(stream).owner
        method = self._workers[owner].ask_stream.options(num_returns="streaming")
        name = f"the worker {owner}"
        replies = method.remote(stream, question, max_age_s)
        async for reply in each_within(WORKER_JOB_S, replies, name):
            result = await _await_reply(WORKER_JOB_S, reply, name)
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
            state="live" if window.tokens else "waiting",
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

    async def _call(self, seconds: float, owner: str, call: Callable[[Any], Any]) -> Any:
        """Call a worker. After a restart it holds no streams, so they must connect again."""
        return await _await_reply(seconds, call(self._workers[owner]), f"the worker {owner}")

    async def _call_all(self, call: Callable[[Any], Any]) -> list[Any]:
        """The replies of all workers that respond."""
        calls = [self._call(WORKER_STATUS_S, name, call) for name in self._workers]
        replies = await asyncio.gather(*calls, return_exceptions=True)
        return [reply for reply in replies if not isinstance(reply, BaseException)]

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # an event loop holds no reference to its tasks
        task.add_done_callback(self._tasks.discard)

    async def _wait_for_models(self) -> str:
        """Wait until the workers have loaded their models; returns the name of the model.

        Raises the error of a worker that cannot load it. Workers that are much slower than the
        first one are not waited for.
        """

        async def model_name(worker: Any) -> str:
            return str(await within(MODEL_LOAD_S, worker.model_name.remote(), "the worker"))

        calls = [asyncio.create_task(model_name(worker)) for worker in self._workers.values()]
        limit = MODEL_LOAD_S + STRAGGLER_S  # each call has its own deadline
        ready, late = await asyncio.wait(calls, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        names = [call.result() for call in ready]
        if late:
            ready, late = await asyncio.wait(
                late, timeout=STRAGGLER_S, return_when=asyncio.FIRST_EXCEPTION
            )
            names += [call.result() for call in ready]
        for call in late:
            call.cancel()
        return names[0]

    async def _report_loop(self, name: str) -> None:
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            await self._report(name)

    async def _report(self, name: str) -> None:
        """Report a worker that responds to the directory. Without reports it gets no streams, and
        without any worker the health service says so.
        """
        try:
            status = await self._call(WORKER_CALL_S, name, lambda worker: worker.status.remote())
            report = self._directory.report.remote(status)
            await within(DIRECTORY_CALL_S, report, "the directory")
        except Exception as error:  # noqa: BLE001 - also a bug in the worker: the loop must go on
            self._failures[name].failed(_reason(error))
            self._responding.discard(name)
        else:
            self._failures[name].recovered()
            self._responding.add(name)
        await self._server.set_serving(bool(self._responding))

    async def _renew_loop(self) -> None:
        while True:
            await asyncio.sleep(RENEW_INTERVAL_S)
            try:
                await self._renew()
                self._directory_failures.recovered()
            except (RayError, DeadlineError) as error:  # Ray restarts it, without its leases
                self._directory_failures.failed(_reason(error))
            except Exception:
                log.exception("leases not renewed")

    async def _renew(self) -> None:
        """Extend the leases of connected streams, and drop the streams whose lease has ended.

        A lease ends when its stream was not connected for the whole of it, or when the directory
        was restarted.
        """
        held = {name: lease for name, lease in self._leases.items() if name in self._connected}
        renewal = self._directory.renew.remote(list(held.values()))
        lost = set(await within(DIRECTORY_CALL_S, renewal, "the directory"))
        ended = [lease for name, lease in held.items() if name in lost]
        expiry = self._directory.expire.remote()
        for lease in [*ended, *await within(DIRECTORY_CALL_S, expiry, "the directory")]:
            current = self._leases.get(lease.stream)
            if current is None or current.epoch <= lease.epoch:
                self._drop_stream(lease)

    def _drop_stream(self, lease: Lease) -> None:
        """Free the stream's KV blocks. An edge that still sends it must connect again."""
        log.warning("stream dropped", stream=lease.stream, worker=lease.owner, epoch=lease.epoch)
        self._leases.pop(lease.stream, None)
        self._connected.discard(lease.stream)
        self._cameras.pop(lease.stream, None)
        # Called now, so that the worker closes the stream before it opens it again.
        call = self._workers[lease.owner].close.remote(lease.stream)
        self._run_in_background(self._wait_closed(lease.owner, call))

    async def _wait_closed(self, owner: str, call: Any) -> None:
        with contextlib.suppress(StreamRejected, RayError):
            await _await_reply(WORKER_CALL_S, call, f"the worker {owner}")


def _reason(error: Exception) -> str:
    """The kind of an error, and its last line: Ray puts the actor's traceback before it."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1].strip()}" if lines else type(error).__name__


async def _await_reply(seconds: float, call: Any, actor: str) -> Any:
    """Await an actor's reply. Raises StreamRejected, with a retry, while Ray restarts the actor, or
    if it does not respond.
    """
    try:
        return await within(seconds, call, actor)
    except asyncio.CancelledError:
        ray.cancel(call)  # the caller has gone
        raise
    except RayActorError as error:
        detail = f"{actor} is restarting"
        raise StreamRejected(RejectReason.NO_CAPACITY, detail, WORKER_RETRY_S) from error
    except DeadlineError as error:
        raise StreamRejected(RejectReason.NO_CAPACITY, str(error), WORKER_RETRY_S) from error
