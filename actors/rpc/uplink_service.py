"""The cloud's end of the uplinks: one call per stream, one owner of a stream at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from weakref import WeakValueDictionary

import structlog

from actors.rpc.authorization import PeerAuthorizer
from actors.rpc.convert import WireError
from actors.rpc.convert_uplink import from_request, to_response
from actors.rpc.stream_host import StreamHost
from actors.rpc.transport import Context
from actors.wire import uplink_pb2 as wire
from actors.wire.uplink_pb2_grpc import UplinkServiceServicer
from codecsight.core.chunk import Chunk
from codecsight.uplink.cloud_link import WINDOW, CloudLink, StreamRejected
from codecsight.uplink.messages import (
    CloudMessage,
    Dropped,
    EdgeMessage,
    Heartbeat,
    Hello,
    Reject,
    RejectReason,
)
from codecsight.uplink.receive_queue import ReceiveQueue

log = structlog.get_logger()

HANDSHAKE_S = 10.0
MOST_PIXELS = 1 << 16


class _EndedError(Exception):
    """The edge hung up, or is gone."""


class _Wire:
    """Messages over one call. Writers take turns, since gRPC takes one message at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()

    async def say(self, message: CloudMessage) -> None:
        async with self._turn:
            await self._context.write(to_response(message))

    async def hear(self) -> EdgeMessage:
        while True:
            request = await self._context.read()
            if not isinstance(request, wire.StreamRequest):
                raise _EndedError
            try:
                message = from_request(request)
            except WireError as error:
                raise StreamRejected(RejectReason.MALFORMED, str(error)) from error
            if message is not None:
                return message


class _Connection:
    """One accepted uplink: reads, hands over to the host, acknowledges."""

    def __init__(self, line: _Wire, uplink: CloudLink, host: StreamHost) -> None:
        self.ended = asyncio.Event()
        self._line = line
        self._uplink = uplink
        self._host = host
        self._inbox = ReceiveQueue()  # the credits bound it
        self._came = asyncio.Event()
        self._refusal: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()

    def refuse(self, refusal: StreamRejected) -> None:
        """End the connection from outside."""
        if not self._refusal.done():
            self._refusal.set_exception(refusal)

    async def run(self) -> None:
        """Serve until either end has enough."""
        await self._line.say(self._uplink.welcome())
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in (self._read(), self._push(), self._watch(), self._refused()):
                    tasks.create_task(self._guarded(part))
        except* _EndedError:
            pass
        finally:
            self._refusal.cancel()

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        """Say at once why the connection ends; its last push may take longer."""
        try:
            await part
        except StreamRejected as refusal:
            await self._line.say(_logged(refusal, self._uplink.hello.stream))
            raise _EndedError from refusal

    async def _read(self) -> None:
        while True:
            message = await self._line.hear()
            answer = self._uplink.receive(message, time.monotonic())
            if isinstance(answer, Chunk):
                self._inbox.put(answer, time.monotonic())
                self._came.set()
            elif answer is not None:
                await self._line.say(answer)
            if isinstance(message, Heartbeat | Dropped):
                await self._host.on_event(self._uplink.hello.stream, message)
            if isinstance(message, Heartbeat):
                await self._line.say(Heartbeat(time.time(), None))

    async def _push(self) -> None:
        while True:
            while not self._inbox:
                self._came.clear()
                await self._came.wait()
            passed, chunk = self._inbox.take(time.monotonic())
            if passed:
                await self._pass_over(passed)
            anchor_reason = await _whole(self._host.push(chunk))
            await self._line.say(self._uplink.taken(chunk.seq))
            if anchor_reason is not None:
                await self._line.say(self._uplink.require_anchor(anchor_reason))

    async def _pass_over(self, passed: list[Chunk]) -> None:
        """What waited too long counts as taken."""
        for chunk in passed:
            await self._line.say(self._uplink.taken(chunk.seq))
        lost = Dropped(passed[0].seq, passed[-1].seq, "the cloud can't keep up")
        await self._host.on_event(self._uplink.hello.stream, lost)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._uplink.heartbeat_s / 2)
            if self._uplink.silent(time.monotonic()):
                log.warning("uplink silent", stream=self._uplink.hello.stream)
                raise _EndedError

    async def _refused(self) -> None:
        await self._refusal


class UplinkService(UplinkServiceServicer):
    """Accepts uplinks. A newer connection of a stream takes over from an older one."""

    def __init__(
        self,
        host: StreamHost,
        peers: PeerAuthorizer,
        heartbeat_s: float = 10.0,
        window: int = WINDOW,
    ) -> None:
        self._host = host
        self._peers = peers
        self._heartbeat_s = heartbeat_s
        self._window = window
        self._live: dict[str, _Connection] = {}
        self._opening: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # The stubs know generators only; gRPC also takes a coroutine that reads and writes by itself.
    async def Stream(  # type: ignore[override]  # noqa: N802
        self,
        request_iterator: AsyncIterator[wire.StreamRequest],  # noqa: ARG002
        context: Context,
    ) -> None:
        """One uplink, from its Hello to its end."""
        line = _Wire(context)
        try:
            hello = await self._hello(line)
            self._peers.admit(context, hello)
            async with self._connection(line, hello) as connection:
                await connection.run()
        except _EndedError:
            pass
        except StreamRejected as refusal:
            await line.say(_logged(refusal, context.peer()))

    async def _hello(self, line: _Wire) -> Hello:
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                message = await line.hear()
        except TimeoutError as error:
            raise StreamRejected(
                RejectReason.PROTOCOL, "no Hello came", retry_after_s=1.0
            ) from error
        if not isinstance(message, Hello):
            raise StreamRejected(RejectReason.PROTOCOL, "the first message is no Hello")
        if not (0 < message.width <= MOST_PIXELS and 0 < message.height <= MOST_PIXELS):
            raise StreamRejected(
                RejectReason.MALFORMED,
                f"a picture of {message.width}x{message.height} pixels; 1 to {MOST_PIXELS} a side",
            )
        return message

    @asynccontextmanager
    async def _connection(self, line: _Wire, hello: Hello) -> AsyncIterator[_Connection]:
        stream = hello.stream
        async with self._opening.setdefault(stream, asyncio.Lock()):
            await self._supersede(stream)
            opening = await self._host.open(hello)
            uplink = CloudLink(
                hello,
                opening,
                time.monotonic(),
                heartbeat_s=self._heartbeat_s,
                window=self._window,
            )
            connection = self._live[stream] = _Connection(line, uplink, self._host)
        try:
            yield connection
        finally:
            if self._live.get(stream) is connection:
                del self._live[stream]
            await self._host.on_disconnect(stream, uplink.epoch)
            connection.ended.set()

    async def _supersede(self, stream: str) -> None:
        """End the stream's older connection, and wait until its last chunk is handed over: the
        owner then knows what to ask the edge for. Whoever is told so and still lives has a twin,
        and shall not fight it at once.
        """
        older = self._live.get(stream)
        if older is None:
            return
        older.refuse(
            StreamRejected(RejectReason.OLD_EPOCH, f"another connection took over {stream}", 30.0)
        )
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await older.ended.wait()
        except TimeoutError as error:
            raise StreamRejected(
                RejectReason.NO_CAPACITY, f"the worker of {stream} does not answer", 5.0
            ) from error


def _logged(refusal: StreamRejected, who: str) -> Reject:
    log.warning("uplink refused", who=who, detail=refusal.reject.detail)
    return refusal.reject


async def _whole(push: Coroutine[Any, Any, str | None]) -> str | None:
    """Let a push that has begun come to its end, even when the connection ends: else nobody could
    tell whether the chunk was taken.
    """
    task = asyncio.create_task(push)
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait([task])
