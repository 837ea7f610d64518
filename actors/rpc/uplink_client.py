"""Edge side of the uplinks over gRPC: one call per stream on one shared channel."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

import grpc
import grpc.aio
import structlog

from actors.deadlines import (
    CLIENT_CLOSE_S,
    HANDSHAKE_S,
    SEND_S,
    DeadlineError,
    wait_at_most,
    within,
)
from actors.rpc.convert import WireError
from actors.rpc.convert_uplink import from_response, to_request
from actors.rpc.transport import TlsCredentials, aio_channel
from actors.wire import uplink_pb2 as wire
from actors.wire.uplink_pb2_grpc import UplinkServiceStub
from codecsight import __version__
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec
from codecsight.logs import FailureLog
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.messages import CameraStats, Dropped, EdgeMessage, RejectReason

log = structlog.get_logger()

DRAIN_POLL_S = 0.02
MAX_MALFORMED, MALFORMED_WINDOW_S = 5, 60.0
"""Rejections as malformed, in that time, after which the link waits as after a permanent one."""

UplinkCall = grpc.aio.StreamStreamCall[wire.StreamRequest, wire.StreamResponse]


class LinkState(StrEnum):
    """State of a stream's link. DOWN and REJECTED both retry; REJECTED waits much longer, since the
    cause is in the configuration or the software.
    """

    CONNECTING = "connecting"
    LIVE = "live"
    DOWN = "down"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ConnectTiming:
    """Timeout of the handshake, and delays between attempts, in seconds.

    The delay doubles from `backoff_min_s` to `backoff_max_s`. It has up to 50% jitter, so that a
    fleet does not reconnect all at once. A permanent rejection is retried after `rejected_retry_s`;
    one for a message that the cloud could not read, at first like a lost connection: what it was is
    dropped.
    """

    handshake_s: float = HANDSHAKE_S
    backoff_min_s: float = 0.5
    backoff_max_s: float = 10.0
    rejected_retry_s: float = 60.0

    def backoff(self, failures: int) -> float:
        """Delay in seconds after `failures` failed attempts in a row."""
        delay: float = min(self.backoff_min_s * 2 ** min(failures - 1, 16), self.backoff_max_s)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret


@dataclass(frozen=True, slots=True)
class OfferResult:
    """What the producer needs for its next chunk: the grid to cut for, None before the first
    Welcome, whether the next slot must be an anchor, and the JPEG quality of its cells.
    """

    spec: GridSpec | None
    needs_anchor: bool
    quality: int


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """State of a link, the reason while it is not live, bytes that wait to be acknowledged, slots
    that were dropped since the process started, the age of the oldest slot that is not
    acknowledged, in seconds, and the JPEG quality of cells, lower while the link is behind.
    """

    state: str
    detail: str
    backlog_bytes: int
    slots_dropped: int
    lag_s: float
    quality: int


class LinkLostError(CodecSightError):
    """The connection ended. The link retries by itself."""


# gRPC raises InvalidStateError for a read or write on a call that has ended.
CONNECTION_ERRORS = (
    LinkLostError,
    WireError,
    DeadlineError,
    grpc.RpcError,
    asyncio.InvalidStateError,
)


class StreamLink:
    """Keeps one stream connected until its task is cancelled. Belongs to one event loop."""

    def __init__(
        self, open_call: Callable[[], UplinkCall], edge: EdgeLink, timing: ConnectTiming
    ) -> None:
        self.state = LinkState.CONNECTING
        self.detail = ""
        self.picture_size = (0, 0)
        self.stats: CameraStats | None = None
        self.edge = edge
        self._open_call = open_call
        self._timing = timing
        self._send_needed = asyncio.Event()
        self._failures = 0
        self._malformed_at: deque[float] = deque(maxlen=MAX_MALFORMED)
        self._failure_log = FailureLog("uplink", stream=edge.stream)

    @property
    def spec(self) -> GridSpec | None:
        """The grid of the cloud's model; None before the first Welcome."""
        return self.edge.spec

    def offer(self, chunk: Chunk) -> OfferResult:
        """Queue a chunk. It is sent when the link is live and the credits allow it."""
        self.edge.offer(chunk, time.monotonic())
        self._send_needed.set()
        requested, quality = self.edge.take_anchor_request(), self.edge.quality
        return OfferResult(self.edge.spec, requested, quality)

    async def run(self) -> None:
        """Connect, and reconnect after every failure, until the task is cancelled."""
        while True:
            self._set_state(LinkState.CONNECTING)
            try:
                await self._run_connection()
            except* CONNECTION_ERRORS as group:
                self._record_failure(_describe(group))
            except* Exception as group:  # a fault of ours must not end the stream for ever
                log.exception("uplink fault", stream=self.edge.stream)
                self._record_failure(_describe(group))
            finally:
                self.edge.disconnect()
            await asyncio.sleep(self._retry_delay())

    async def _run_connection(self) -> None:
        call = self._open_call()
        try:
            await self._handshake(call)
            async with asyncio.TaskGroup() as tasks:
                for loop in (self._read(call), self._write(call), self._watch_timeout()):
                    tasks.create_task(loop)
        finally:
            call.cancel()

    async def _handshake(self, call: UplinkCall) -> None:
        hello = self.edge.connect(*self.picture_size, time.monotonic())
        try:
            async with asyncio.timeout(self._timing.handshake_s):
                await self._send(call, hello)
                while not (self.edge.connected or self.edge.rejection):
                    await self._receive(call)
        except TimeoutError as error:
            raise LinkLostError(f"no Welcome within {self._timing.handshake_s:g} s") from error
        if self.edge.connected:
            self._failures = 0
            self._set_state(LinkState.LIVE)

    async def _read(self, call: UplinkCall) -> None:
        while self.edge.rejection is None:
            await self._receive(call)
            self._send_needed.set()  # an Ack may have brought credits
        raise LinkLostError(self.edge.rejection.detail)

    async def _write(self, call: UplinkCall) -> None:
        while True:
            self._send_needed.clear()
            now = time.monotonic()
            for item in self.edge.take_outgoing(now):
                if isinstance(item, Dropped):
                    log.warning(
                        "slots dropped",
                        stream=self.edge.stream,
                        count=item.count,
                        reason=item.reason,
                    )
                await self._send(call, item)
            if (beat := self.edge.heartbeat(now, time.time(), self._current_stats())) is not None:
                await self._send(call, beat)
            await wait_at_most(self.edge.heartbeat_s, self._send_needed.wait())

    def _current_stats(self) -> CameraStats | None:
        dropped = self.edge.dropped_count
        return None if self.stats is None else replace(self.stats, slots_dropped=dropped)

    def status(self) -> LinkStatus:
        """State, backlog and drops of the link."""
        return LinkStatus(
            str(self.state),
            self.detail,
            self.edge.backlog_bytes,
            self.edge.dropped_count,
            round(self.edge.lag_s(time.monotonic()), 1),
            self.edge.quality,
        )

    async def _watch_timeout(self) -> None:
        while True:
            await asyncio.sleep(self.edge.heartbeat_s / 2)
            if self.edge.timed_out(time.monotonic()):
                raise LinkLostError("no heartbeat from the cloud")

    async def _send(self, call: UplinkCall, message: EdgeMessage) -> None:
        await within(SEND_S, call.write(to_request(message)), "the cloud")

    async def _receive(self, call: UplinkCall) -> None:
        response = await call.read()
        if not isinstance(response, wire.StreamResponse):
            raise LinkLostError("the cloud ended the call")
        if (message := from_response(response)) is not None:
            self.edge.receive(message, time.monotonic())

    def _record_failure(self, reason: str) -> None:
        rejection = self.edge.rejection
        self._failures += 1
        if rejection is None:
            self._set_state(LinkState.DOWN, reason)
        else:
            permanent = rejection.retry_after_s <= 0
            self._set_state(LinkState.REJECTED if permanent else LinkState.DOWN, rejection.detail)

    def _retry_delay(self) -> float:
        """Seconds until the next attempt; never less than the cloud demands."""
        rejection, delay = self.edge.rejection, self._timing.backoff(self._failures)
        if rejection is None:
            return delay
        if rejection.retry_after_s > 0:
            return max(delay, rejection.retry_after_s)
        if rejection.reason is RejectReason.MALFORMED and not self._repeats_malformed():
            return delay
        return max(delay, self._timing.rejected_retry_s)

    def _repeats_malformed(self) -> bool:
        """Record a rejection as malformed; whether too many came in a short time."""
        self._malformed_at.append(time.monotonic())
        times = self._malformed_at
        return len(times) == times.maxlen and times[-1] - times[0] < MALFORMED_WINDOW_S

    def _set_state(self, state: LinkState, detail: str = "") -> None:
        self.state, self.detail = state, detail
        if state in (LinkState.DOWN, LinkState.REJECTED):
            self._failure_log.failed(detail)
        elif state is LinkState.LIVE:
            self._failure_log.recovered()


class UplinkClient:
    """All links of one site. Create it inside the event loop that runs it."""

    def __init__(
        self,
        address: str,
        site: str,
        tls: TlsCredentials | None = None,
        timing: ConnectTiming | None = None,
    ) -> None:
        self.links: dict[str, StreamLink] = {}
        self._site = site
        self._timing = timing or ConnectTiming()
        self._channel = aio_channel(address, tls)
        self._stub = UplinkServiceStub(self._channel)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def open(self, stream: str, width: int, height: int, *, procedural: bool = False) -> StreamLink:
        """Return a stream's link, and start it if it is new.

        The size is that of the camera's picture in pixels. The next Hello carries it.
        """
        if stream not in self.links:
            # Milliseconds of the clock exceed every number of an earlier process, which made far
            # fewer than a thousand chunks a second.
            edge = EdgeLink(
                self._site,
                stream,
                f"codecsight {__version__}",
                start_seq=time.time_ns() // 1_000_000,
                procedural=procedural,
            )
            self.links[stream] = StreamLink(self._stub.Stream, edge, self._timing)
            self._tasks[stream] = asyncio.create_task(self.links[stream].run())
        self.links[stream].picture_size = (width, height)
        return self.links[stream]

    async def close(self, drain_s: float = 0.0) -> None:
        """End all links, after at most `drain_s` seconds to send what is queued."""
        await wait_at_most(drain_s, self._drained())
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLIENT_CLOSE_S)
        await wait_at_most(CLIENT_CLOSE_S, self._channel.close())

    async def _drained(self) -> None:
        """Wait until every live link has delivered all its chunks."""
        while True:
            live = [link for link in self.links.values() if link.state is LinkState.LIVE]
            if all(link.edge.idle for link in live):
                return
            await asyncio.sleep(DRAIN_POLL_S)


def _describe(group: BaseExceptionGroup[Exception]) -> str:
    """Describe why a connection ended: its first error."""
    error = group.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, grpc.aio.AioRpcError):
        # A rejected certificate and a broken network both give UNAVAILABLE; only the details
        # differ.
        return f"{error.code().name}: {error.details()}"
    return str(error) or type(error).__name__
