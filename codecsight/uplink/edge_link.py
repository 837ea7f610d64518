"""Edge side of an uplink as a state machine: no sockets, and the caller passes the time."""

from dataclasses import replace

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import SlotKind
from codecsight.uplink.backlog import Backlog
from codecsight.uplink.flow_control import FlowControl
from codecsight.uplink.messages import (
    MAX_MISSED_HEARTBEATS,
    PROTOCOL_VERSION,
    Ack,
    CameraStats,
    CloudMessage,
    Dropped,
    Heartbeat,
    Hello,
    NeedAnchor,
    Reject,
    RejectReason,
    Welcome,
)
from codecsight.uplink.quality_control import QualityControl

SLOW_ROUND_TRIP_S = 1.0
"""Delay of a heartbeat's answer from which on a link counts as slow."""


class EdgeLink:
    """Holds one stream's chunks until the cloud acknowledges them, over any number of connections.

    `connect` starts a connection and returns its Hello. After that `receive` handles incoming
    messages and `take_outgoing` returns what may be sent now. `disconnect` ends the connection.

    `capacity_bytes` bounds the backlog and must exceed the largest chunk. Once the next chunk has
    waited longer than `max_wait_s`, connected or not, the link skips to the newest anchor: late
    answers have little value, and the archive has the recording. On a thin link it skips earlier
    (see `flow_control`).

    `start_seq` is the number of the first chunk. It must exceed every number used by an earlier
    process for this stream, or the cloud would take new chunks for duplicates. The wall clock in
    milliseconds meets this.

    All times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        site: str,
        stream: str,
        software: str,
        *,
        start_seq: int,
        procedural: bool = False,
        capacity_bytes: int = 16 << 20,
        max_wait_s: float = 30.0,
    ) -> None:
        self.stream = stream
        self.spec: GridSpec | None = None
        self.epoch = 0
        self.heartbeat_s = 0.0
        self.rejection: Reject | None = None
        self._hello = Hello(
            site, stream, PROTOCOL_VERSION, software, "", 0, 0, start_seq, procedural
        )
        self._backlog = Backlog(start_seq, capacity_bytes)
        self._flow, self._quality = FlowControl(), QualityControl()
        self._max_wait_s = max_wait_s
        self._welcomed = False
        self._credits = 0
        self._last_heartbeat = self._last_received = 0.0
        self._beat_sent_at: float | None = None  # of the heartbeat that is not answered yet
        self._round_trip_s = 0.0
        self._anchor_requested = False

    @property
    def connected(self) -> bool:
        """Whether the cloud has accepted the current connection."""
        return self._welcomed

    @property
    def backlog_bytes(self) -> int:
        """Bytes held for chunks that are not acknowledged."""
        return self._backlog.size_bytes

    @property
    def dropped_count(self) -> int:
        """Chunks dropped so far. Each of them is reported to the cloud."""
        return self._backlog.dropped_count

    @property
    def quality(self) -> int:
        """JPEG quality for the next slot: lower while the link is behind."""
        return self._quality.quality

    def lag_s(self, now: float) -> float:
        """Age of the oldest chunk that the cloud has not acknowledged; 0 without one."""
        queued_at = self._backlog.oldest_unacked_at()
        return 0.0 if queued_at is None else now - queued_at

    @property
    def idle(self) -> bool:
        """Whether every offered chunk is acknowledged or was reported as dropped."""
        return self._backlog.first_unacked == self._backlog.next_seq

    def connect(self, width: int, height: int, now: float) -> Hello:
        """Start a connection for pictures of `width` x `height` pixels. Returns its Hello."""
        self.disconnect()
        self.rejection, self._last_received = None, now
        return replace(
            self._hello,
            fingerprint=self.spec.fingerprint if self.spec else "",
            width=width,
            height=height,
            next_seq=self._backlog.next_seq,
        )

    def disconnect(self) -> None:
        """End the connection. Chunks in flight are kept for the next one."""
        self._welcomed = False
        self._backlog.rewind()
        self._flow.disconnected()
        self._beat_sent_at = None

    def offer(self, chunk: Chunk, now: float) -> None:
        """Number a chunk and queue it for sending."""
        if self._welcomed:  # while there is no connection, smaller slots would not help
            lag_s = self.lag_s(now)
            self._quality.observe(lag_s if self._link_is_slow(now) else 0.0, now)
        if self.spec is None or chunk.fingerprint != self.spec.fingerprint:
            self._backlog.drop_new("cells of another model")
            self._anchor_requested = True
            return
        if not self._backlog.offer(chunk, now):
            self._anchor_requested = True
        self._drop_late(now)  # now, not on reconnection: the count shows an outage while it lasts

    def take_anchor_request(self) -> bool:
        """Return whether the tracker must make an anchor now, and clear the request."""
        requested, self._anchor_requested = self._anchor_requested, False
        return requested

    def receive(self, message: CloudMessage, now: float) -> None:
        """Handle one message of the cloud. Messages of an older epoch are ignored."""
        self._last_received = now
        match message:
            case Welcome():
                self._receive_welcome(message, now)
            case Ack() if message.epoch == self.epoch:
                self._backlog.acknowledge_below(message.seq + 1)
                self._flow.acknowledged_below(message.seq + 1, now)
                self._credits = message.credits
            case NeedAnchor() if message.epoch == self.epoch:
                self._resume_from_anchor("the cloud requested an anchor")
            case Heartbeat() if self._beat_sent_at is not None:
                self._round_trip_s, self._beat_sent_at = now - self._beat_sent_at, None
            case Reject():
                self._receive_reject(message)
            case _:
                pass

    def take_outgoing(self, now: float) -> list[Chunk | Dropped]:
        """Return what may be sent now, in order. It counts as in flight afterwards."""
        taken: list[Chunk | Dropped] = []
        while self._welcomed and (item := self._next_item(now)) is not None:
            self._backlog.advance(item)
            if isinstance(item, Chunk):
                self._flow.sent(item.seq, item.size, now)
            # The epoch is set here: a chunk that is sent again carries the new connection's.
            taken.append(replace(item, epoch=self.epoch) if isinstance(item, Chunk) else item)
        return taken

    def heartbeat(
        self, now: float, wall_time: float, stats: CameraStats | None
    ) -> Heartbeat | None:
        """Return the heartbeat to send, or None if none is due."""
        if not self._welcomed or now < self._last_heartbeat + self.heartbeat_s:
            return None
        self._last_heartbeat = now
        if self._beat_sent_at is None:
            self._beat_sent_at = now
        return Heartbeat(wall_time, stats)

    def timed_out(self, now: float) -> bool:
        """Whether too many heartbeats of the cloud are missing: the connection must be dead."""
        return self._welcomed and now > (
            self._last_received + MAX_MISSED_HEARTBEATS * self.heartbeat_s
        )

    def _receive_welcome(self, welcome: Welcome, now: float) -> None:
        self.epoch, self._credits = welcome.epoch, welcome.credits
        # One interval back, so that the first heartbeat is due at once.
        self.heartbeat_s, self._last_heartbeat = welcome.heartbeat_s, now - welcome.heartbeat_s
        self._welcomed = True
        # False if the cloud lost chunks that it had acknowledged, and they are gone here too.
        continuous = self._backlog.first_unacked <= welcome.resume_seq <= self._backlog.next_seq
        if continuous:
            self._backlog.acknowledge_below(welcome.resume_seq)
        if welcome.spec != self.spec:
            self._backlog.drop_unsent("cells of another model")
        self.spec = welcome.spec
        if welcome.needs_anchor or not (continuous or self._anchor_is_next()):
            self._resume_from_anchor("the cloud has no state of the stream")

    def _receive_reject(self, reject: Reject) -> None:
        """Record the rejection. Chunks that the cloud can't read are dropped, not sent again."""
        self.rejection, self._welcomed = reject, False
        if reject.reason in (RejectReason.MALFORMED, RejectReason.FINGERPRINT):
            self._backlog.rewind()
            self._backlog.drop_unsent("the cloud could not read it")
            self._anchor_requested = True

    def _resume_from_anchor(self, reason: str) -> None:
        """Skip to the newest unsent anchor, or request one from the tracker."""
        if not self._backlog.skip_to_anchor(reason):
            self._backlog.drop_unsent(reason)
            self._anchor_requested = True

    def _anchor_is_next(self) -> bool:
        item = self._backlog.peek()
        return isinstance(item, Chunk) and item.kind is SlotKind.ANCHOR

    def _next_item(self, now: float) -> Chunk | Dropped | None:
        """The next item to send, or None if there is none or the credits don't allow it."""
        self._drop_late(now)
        item = self._backlog.peek()
        if isinstance(item, Chunk) and not self._has_credits(item):
            return None
        return item

    def _link_is_slow(self, now: float) -> bool:
        """Whether the link itself delays: the cloud answers a heartbeat when it arrives, behind
        what was sent before; an acknowledgement also waits for the worker.
        """
        pending_s = 0.0 if self._beat_sent_at is None else now - self._beat_sent_at
        return max(self._round_trip_s, pending_s) >= SLOW_ROUND_TRIP_S

    def _drop_late(self, now: float) -> None:
        """Skip to the newest anchor if the next chunk has waited too long."""
        queued_at = self._backlog.oldest_queued_at()
        if queued_at is None:
            return
        waited_s = now - queued_at
        if waited_s > self._max_wait_s:
            self._backlog.skip_to_anchor("waited too long")
        elif self._link_is_slow(now) and self._flow.must_skip(
            waited_s, self._backlog.bytes_before_anchor
        ):
            self._backlog.skip_to_anchor("the link is too thin")

    def _has_credits(self, chunk: Chunk) -> bool:
        # With nothing in flight one chunk may always go: a chunk larger than the credits would
        # otherwise never be sent.
        in_flight = self._backlog.in_flight_bytes
        allowed = min(self._credits, self._flow.window)
        return self._credits > 0 and (not in_flight or in_flight + chunk.size <= allowed)
