"""Cloud side of the uplinks over gRPC: one call per stream, one connection of a stream at a time.

Each connection runs four tasks: one reads messages into a queue, one hands the queued chunks to the
host and acknowledges them, one watches for missing heartbeats, and one waits for a rejection by a
newer connection.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import structlog
from google.protobuf.message import DecodeError

from actors.deadlines import HANDSHAKE_S, PUSH_END_S, SEND_S, DeadlineError, wait_at_most, within
from actors.rpc.authorization import PeerAuthorizer
from actors.rpc.convert import WireError
from actors.rpc.convert_uplink import from_request, to_response
from actors.rpc.peer_limits import RefusalLog, host_of
from actors.rpc.stream_host import StreamHost
from actors.rpc.transport import Context
from actors.wire import uplink_pb2 as wire
from actors.wire.uplink_pb2_grpc import UplinkServiceServicer
from codecsight.core.chunk import Chunk
from codecsight.uplink.cloud_link import CREDIT_BYTES, CloudLink, StreamRejected
from codecsight.uplink.messages import (
    CloudMessage,
    Dropped,
    EdgeMessage,
    Heartbeat,
    Hello,
    RejectReason,
)
from codecsight.uplink.receive_queue import ReceiveQueue
from codecsight.uplink.token_bucket import TokenBucket

log = structlog.get_logger()

MAX_PICTURE_SIDE = 1 << 16
MAX_EVENTS_PER_S = 10.0
"""Heartbeats and reports of drops that are read from one connection, in the long run."""


class _ConnectionEndedError(Exception):
    """The edge closed the call, or is unreachable."""


class _MessageStream:
    """Messages over one call. Writers hold a lock, since gRPC takes one message at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._write_lock = asyncio.Lock()

    async def send(self, message: CloudMessage) -> None:
        async with self._write_lock:
            try:
                await within(SEND_S, self._context.write(to_response(message)), "the edge")
            except DeadlineError as error:  # it does not read
                raise _ConnectionEndedError from error

    async def receive(self) -> EdgeMessage:
        while True:
            try:
                request = await self._context.read()
            except DecodeError as error:
                detail = "a message that is not of this protocol"
                raise StreamRejected(RejectReason.MALFORMED, detail) from error
            if not isinstance(request, wire.StreamRequest):
                raise _ConnectionEndedError
            try:
                message = from_request(request)
            except WireError as error:
                raise StreamRejected(RejectReason.MALFORMED, str(error)) from error
            if message is not None:
                return message


class _Connection:
    """One accepted uplink: reads chunks, hands them to the host and acknowledges them."""

    def __init__(self, messages: _MessageStream, link: CloudLink, host: StreamHost) -> None:
        self.ended = asyncio.Event()
        self._messages = messages
        self._link = link
        self._host = host
        self._queue = ReceiveQueue()
        self._chunk_queued = asyncio.Event()
        self._events = TokenBucket(MAX_EVENTS_PER_S)
        self._rejection: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()

    def reject(self, rejection: StreamRejected) -> None:
        """End the connection from outside."""
        if not self._rejection.done():
            self._rejection.set_exception(rejection)

    async def run(self) -> None:
        """Serve the connection until either end closes it."""
        await self._messages.send(self._link.welcome())
        try:
            async with asyncio.TaskGroup() as tasks:
                for loop in (
                    self._read(),
                    self._push(),
                    self._watch_timeout(),
                    self._wait_rejection(),
                ):
                    tasks.create_task(self._run_guarded(loop))
        except* _ConnectionEndedError:
            pass
        finally:
            self._rejection.cancel()

    async def _run_guarded(self, loop: Coroutine[Any, Any, None]) -> None:
        """Run one of the connection's tasks, and send its rejection to the edge at once.

        The task group waits for a push that has begun, which may take longer.
        """
        try:
            await loop
        except StreamRejected as rejection:
            _log_rejection(rejection, self._link.hello.stream)
            await self._messages.send(rejection.reject)
            raise _ConnectionEndedError from rejection

    async def _read(self) -> None:
        while True:
            message = await self._messages.receive()
            received = self._link.receive(message, time.monotonic())
            if isinstance(received, Chunk):
                self._queue.put(received, time.monotonic())
                self._chunk_queued.set()
            elif received is not None:
                await self._messages.send(received)
            if isinstance(message, Heartbeat | Dropped):
                # A flood of them waits in its own connection.
                await asyncio.sleep(self._events.reserve(time.monotonic()))
                await self._host.on_event(self._link.hello.stream, message)
            if isinstance(message, Heartbeat):
                await self._messages.send(Heartbeat(time.time(), None))

    async def _push(self) -> None:
        while True:
            while not self._queue:
                self._chunk_queued.clear()
                await wait_at_most(self._link.heartbeat_s, self._chunk_queued.wait())
            skipped, chunk = self._queue.take(time.monotonic())
            if skipped:
                await self._report_skipped(skipped)
            anchor_reason = await _run_to_completion(self._host.push(chunk))
            await self._messages.send(self._link.acknowledge(chunk.seq))
            if anchor_reason is not None:
                await self._messages.send(self._link.require_anchor(anchor_reason))

    async def _report_skipped(self, skipped: list[Chunk]) -> None:
        """Acknowledge chunks that waited too long, and report them to the host as dropped."""
        for chunk in skipped:
            await self._messages.send(self._link.acknowledge(chunk.seq))
        dropped = Dropped(skipped[0].seq, skipped[-1].seq, "the cloud is overloaded")
        await self._host.on_event(self._link.hello.stream, dropped)

    async def _watch_timeout(self) -> None:
        while True:
            await asyncio.sleep(self._link.heartbeat_s / 2)
            if self._link.timed_out(time.monotonic()):
                log.warning("uplink timed out", stream=self._link.hello.stream)
                raise _ConnectionEndedError

    async def _wait_rejection(self) -> None:
        await self._rejection


class UplinkService(UplinkServiceServicer):
    """Accepts uplinks. A newer connection of a stream replaces an older one."""

    def __init__(
        self,
        host: StreamHost,
        peers: PeerAuthorizer,
        heartbeat_s: float = 10.0,
        credit_bytes: int = CREDIT_BYTES,
    ) -> None:
        self._host = host
        self._peers = peers
        self._heartbeat_s = heartbeat_s
        self._credit_bytes = credit_bytes
        self._refusals = RefusalLog()
        self._connections: dict[str, _Connection] = {}
        # One lock per stream that is being opened; an unused lock is garbage-collected.
        self._open_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # The generated stub declares a generator. gRPC also accepts a coroutine that reads and writes
    # through the context, which lets four tasks share one call.
    async def Stream(  # type: ignore[override]  # noqa: N802
        self,
        request_iterator: AsyncIterator[wire.StreamRequest],  # noqa: ARG002
        context: Context,
    ) -> None:
        """Serve one uplink, from its Hello to its end."""
        messages = _MessageStream(context)
        try:
            hello = await self._receive_hello(messages)
            self._peers.authorize_uplink(context, hello)
            async with self._connection(messages, hello) as connection:
                await connection.run()
        except _ConnectionEndedError:
            pass
        except StreamRejected as rejection:
            with contextlib.suppress(_ConnectionEndedError):
                left_out = self._refusals.admit(host_of(context), time.monotonic())
                if left_out is not None:
                    _log_rejection(rejection, context.peer(), left_out)
                await messages.send(rejection.reject)

    async def _receive_hello(self, messages: _MessageStream) -> Hello:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                message = await messages.receive()
        except TimeoutError as error:
            detail = f"no Hello within {HANDSHAKE_S:g} s"
            raise StreamRejected(RejectReason.PROTOCOL, detail, retry_after_s=1.0) from error
        if not isinstance(message, Hello):
            raise StreamRejected(RejectReason.PROTOCOL, "the first message is not a Hello")
        width, height = message.width, message.height
        if not (0 < width <= MAX_PICTURE_SIDE and 0 < height <= MAX_PICTURE_SIDE):
            raise StreamRejected(
                RejectReason.MALFORMED,
                f"a picture of {width}x{height} pixels; each side must be 1 to {MAX_PICTURE_SIDE}",
            )
        return message

    @contextlib.asynccontextmanager
    async def _connection(
        self, messages: _MessageStream, hello: Hello
    ) -> AsyncIterator[_Connection]:
        """Open the stream at the host for the lifetime of one connection."""
        stream = hello.stream
        async with self._open_locks.setdefault(stream, asyncio.Lock()):
            await self._end_older(stream)
            grant = await self._host.open(hello)
            link = CloudLink(
                hello,
                grant,
                time.monotonic(),
                heartbeat_s=self._heartbeat_s,
                credit_bytes=self._credit_bytes,
            )
            connection = self._connections[stream] = _Connection(messages, link, self._host)
        try:
            yield connection
        finally:
            if self._connections.get(stream) is connection:
                del self._connections[stream]
            await self._host.on_disconnect(stream, link.epoch)
            connection.ended.set()

    async def _end_older(self, stream: str) -> None:
        """End the stream's older connection, and wait until its last push is complete.

        After that the owner knows which chunk comes next. The older edge process, if it still
        runs, is told to wait 30 s, so that two processes with the same stream don't alternate.
        """
        older = self._connections.get(stream)
        if older is None:
            return
        older.reject(
            StreamRejected(
                RejectReason.OLD_EPOCH, f"another connection of {stream} replaced this one", 30.0
            )
        )
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await older.ended.wait()
        except TimeoutError as error:
            raise StreamRejected(
                RejectReason.NO_CAPACITY, f"the worker of {stream} does not respond", 5.0
            ) from error


def _log_rejection(rejection: StreamRejected, peer: str, left_out: int = 0) -> None:
    log.warning("uplink rejected", peer=peer, detail=rejection.reject.detail, not_logged=left_out)


async def _run_to_completion(push: Coroutine[Any, Any, str | None]) -> str | None:
    """Finish a started push even if the connection ends. A cancelled push would leave it unknown
    whether the owner holds the chunk.
    """
    task = asyncio.create_task(push)
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait([task], timeout=PUSH_END_S)
