"""A site's end of the uplink over gRPC: one call per stream on one shared channel."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import grpc
import grpc.aio
import structlog

from actors.rpc.convert import WireError
from actors.rpc.convert_uplink import from_response, to_request
from actors.rpc.transport import TlsCredentials, aio_channel
from actors.wire import uplink_pb2 as wire
from actors.wire.uplink_pb2_grpc import UplinkServiceStub
from codecsight import __version__
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.messages import CameraStats, EdgeMessage

log = structlog.get_logger()

Call = grpc.aio.StreamStreamCall[wire.StreamRequest, wire.StreamResponse]


class LinkState(StrEnum):
    """Where a stream's link stands. DOWN waits for its next attempt; REFUSED too, but for long,
    since a person must mend something first.
    """

    CONNECTING = "connecting"
    LIVE = "live"
    DOWN = "down"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: the longest wait for a Welcome, and the pauses between attempts, which double from
    `retry_min_s` to `retry_max_s` and vary by half, so that a fleet does not return all at once.
    After a refusal for good the next look comes after `refused_s`.
    """

    handshake_s: float = 10.0
    retry_min_s: float = 0.5
    retry_max_s: float = 10.0
    refused_s: float = 300.0

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures in a row."""
        pause: float = min(self.retry_min_s * 2 ** min(failures - 1, 16), self.retry_max_s)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing


@dataclass(frozen=True, slots=True)
class OfferResult:
    """What the producer of a chunk must know next: the grid to cut for, None before the cloud has
    said, and whether the next slot must be an anchor.
    """

    spec: GridSpec | None
    need_anchor: bool


class LinkLostError(CodecSightError):
    """A connection that ended; the next attempt follows by itself."""


class StreamLink:
    """Keeps one stream connected for as long as it is wanted. Lives in one event loop."""

    def __init__(self, open_call: Callable[[], Call], edge: EdgeLink, timing: Timing) -> None:
        self.state = LinkState.CONNECTING
        self.detail = ""
        self.size = (0, 0)
        self.stats: CameraStats | None = None
        self.edge = edge
        self._open_call = open_call
        self._timing = timing
        self._work = asyncio.Event()
        self._failures = 0

    @property
    def spec(self) -> GridSpec | None:
        """The grid that the cloud's model asks for; None before the first Welcome."""
        return self.edge.spec

    def offer(self, chunk: Chunk) -> OfferResult:
        """Hand over a chunk; it is sent when the link and the credits allow."""
        self.edge.offer(chunk, time.monotonic())
        self._work.set()
        return OfferResult(self.edge.spec, self.edge.take_anchor_request())

    async def run(self) -> None:
        """Connect, and connect again, until the task is cancelled."""
        while True:
            self._move(LinkState.CONNECTING)
            try:
                await self._connection()
            except* (LinkLostError, WireError, grpc.RpcError, asyncio.InvalidStateError) as group:
                self._lost(_reason(group))
            finally:
                self.edge.disconnect()
            await asyncio.sleep(self._pause())

    async def _connection(self) -> None:
        call = self._open_call()
        try:
            await self._handshake(call)
            async with asyncio.TaskGroup() as tasks:
                for part in (self._read(call), self._write(call), self._watch()):
                    tasks.create_task(part)
        finally:
            call.cancel()

    async def _handshake(self, call: Call) -> None:
        hello = self.edge.connect(*self.size, time.monotonic())
        try:
            async with asyncio.timeout(self._timing.handshake_s):
                await self._say(call, hello)
                while not (self.edge.connected or self.edge.rejected):
                    await self._hear(call)
        except TimeoutError as error:
            raise LinkLostError(f"no Welcome within {self._timing.handshake_s:g} s") from error
        if self.edge.connected:
            self._failures = 0
            self._move(LinkState.LIVE)

    async def _read(self, call: Call) -> None:
        while self.edge.rejected is None:
            await self._hear(call)
            self._work.set()
        raise LinkLostError(self.edge.rejected.detail)

    async def _write(self, call: Call) -> None:
        while True:
            self._work.clear()
            now = time.monotonic()
            for item in self.edge.outgoing(now):
                await self._say(call, item)
            if (beat := self.edge.heartbeat(now, time.time(), self.stats)) is not None:
                await self._say(call, beat)
            await _within(self.edge.heartbeat_s, self._work.wait())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.edge.heartbeat_s / 2)
            if self.edge.silent(time.monotonic()):
                raise LinkLostError("the cloud fell silent")

    async def _say(self, call: Call, message: EdgeMessage) -> None:
        await call.write(to_request(message))

    async def _hear(self, call: Call) -> None:
        response = await call.read()
        if not isinstance(response, wire.StreamResponse):
            raise LinkLostError("the cloud ended the call")
        if (message := from_response(response)) is not None:
            self.edge.receive(message, time.monotonic())

    def _lost(self, reason: str) -> None:
        rejected = self.edge.rejected
        self._failures += 1
        if rejected is None:
            self._move(LinkState.DOWN, reason)
        else:
            final = rejected.retry_after_s <= 0
            self._move(LinkState.REFUSED if final else LinkState.DOWN, rejected.detail)

    def _pause(self) -> float:
        rejected = self.edge.rejected
        if rejected is None:
            return self._timing.pause(self._failures)
        asked = rejected.retry_after_s if rejected.retry_after_s > 0 else self._timing.refused_s
        return max(self._timing.pause(self._failures), asked)

    def _move(self, state: LinkState, detail: str = "") -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            log.info("uplink", stream=self.edge.stream, state=str(state), detail=detail)


class UplinkClient:
    """All links of one site. Create it inside the event loop that it shall live in."""

    def __init__(
        self,
        address: str,
        site: str,
        tls: TlsCredentials | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.links: dict[str, StreamLink] = {}
        self._site = site
        self._timing = timing or Timing()
        self._channel = aio_channel(address, tls)
        self._stub = UplinkServiceStub(self._channel)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self, stream: str, width: int, height: int) -> StreamLink:
        """The link of a stream, begun if it is new. The size is the camera's picture in pixels,
        told to the cloud with the next Hello.
        """
        if stream not in self.links:
            # Milliseconds of the clock exceed every number of an earlier life: it made far fewer
            # chunks than a thousand a second.
            edge = EdgeLink(
                self._site,
                stream,
                f"codecsight {__version__}",
                start_seq=time.time_ns() // 1_000_000,
            )
            self.links[stream] = StreamLink(self._stub.Stream, edge, self._timing)
            self._tasks[stream] = asyncio.create_task(self.links[stream].run())
        self.links[stream].size = (width, height)
        return self.links[stream]

    async def close(self, drain_s: float = 0.0) -> None:
        """End all links, after at most `drain_s` seconds in which what is left may still go."""
        await _within(drain_s, self._drained())
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._channel.close()

    async def _drained(self) -> None:
        """Wait until the live links have delivered all they hold."""
        while True:
            live = [link for link in self.links.values() if link.state is LinkState.LIVE]
            if all(link.edge.idle for link in live):
                return
            await asyncio.sleep(0.02)


def _reason(group: BaseExceptionGroup[Exception]) -> str:
    """What ended a connection, in words: the first thing that went wrong."""
    error = group.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, grpc.aio.AioRpcError):
        # A refused certificate looks like a dead network (UNAVAILABLE): only the details tell.
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__


async def _within(seconds: float, work: Coroutine[Any, Any, Any]) -> None:
    """Wait for `work`, but no longer than so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        pass
