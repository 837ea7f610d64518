"""Cloud side of one uplink connection as a state machine."""

from dataclasses import dataclass

from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec
from codecsight.core.slot import SlotKind
from codecsight.patches.codec import PatchError
from codecsight.patches.packing import check_chunk
from codecsight.uplink.messages import (
    MAX_MISSED_HEARTBEATS,
    PROTOCOL_VERSION,
    Ack,
    Dropped,
    EdgeMessage,
    Hello,
    NeedAnchor,
    Reject,
    RejectReason,
    Welcome,
)

CREDIT_BYTES = 2 << 20
"""Default for the bytes one stream may have unacknowledged: a large anchor and a dozen deltas."""


class StreamRejected(CodecSightError):  # noqa: N818 - a regular reply to the edge, not a fault
    """The cloud ends an uplink. `reject` is the message to send to the edge."""

    def __init__(self, reason: RejectReason, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.reject = Reject(reason, detail, retry_after_s)


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """Reply of the stream's owner to a new connection.

    `next_seq` is the first chunk the owner does not hold, None if it has no state of the stream.
    Each connection has its own `epoch`, higher than all before it. The owner rejects chunks of
    lower epochs.
    """

    epoch: int
    spec: GridSpec
    next_seq: int | None
    needs_anchor: bool = False


class CloudLink:
    """One connection, from an accepted Hello to its end.

    `receive` returns chunks in order, each once, and never a delta after a missing chunk. The
    caller calls `acknowledge` when a chunk can no longer be lost with the connection; until then
    the chunk uses credits. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        hello: Hello,
        grant: SessionGrant,
        now: float,
        *,
        heartbeat_s: float = 10.0,
        credit_bytes: int = CREDIT_BYTES,
    ) -> None:
        if hello.protocol != PROTOCOL_VERSION:
            raise StreamRejected(
                RejectReason.PROTOCOL,
                f"the cloud uses protocol version {PROTOCOL_VERSION}, the site {hello.protocol}; "
                "upgrade the " + ("site" if hello.protocol < PROTOCOL_VERSION else "cloud"),
            )
        self.hello = hello
        self.epoch = grant.epoch
        self.duplicates = self.discarded = self.reported_dropped = 0
        self._spec = grant.spec
        self.heartbeat_s, self._credit_bytes = heartbeat_s, credit_bytes
        self._last_received = now
        self._unacked: dict[int, int] = {}  # seq -> bytes
        # An edge whose numbers are lower than the owner's has lost its own state.
        known = grant.next_seq is not None and grant.next_seq <= hello.next_seq
        self._next_seq = grant.next_seq if known and grant.next_seq is not None else 0
        self._need_anchor = (
            grant.needs_anchor or not known or hello.fingerprint != self._spec.fingerprint
        )

    def welcome(self) -> Welcome:
        """The reply to the Hello."""
        return Welcome(
            epoch=self.epoch,
            resume_seq=self._next_seq,
            needs_anchor=self._need_anchor,
            credits=self._credit_bytes,
            heartbeat_s=self.heartbeat_s,
            spec=self._spec,
        )

    def receive(self, message: EdgeMessage, now: float) -> Chunk | Ack | NeedAnchor | None:
        """Handle one message of the edge.

        Returns a chunk to apply, a reply to send, or None. Raises StreamRejected when the
        connection must end.
        """
        self._last_received = now
        match message:
            case Chunk():
                return self._receive_chunk(message)
            case Dropped():
                return self._receive_dropped(message)
            case Hello():
                raise StreamRejected(RejectReason.PROTOCOL, "a second Hello on one connection")
            case _:
                return None

    def acknowledge(self, seq: int) -> Ack:
        """Release the credits of chunk `seq`, which is stored. Returns the Ack to send."""
        del self._unacked[seq]
        return self._ack()

    def require_anchor(self, reason: str) -> NeedAnchor:
        """Discard deltas until the next anchor. Returns the message to send."""
        self._need_anchor = True
        return NeedAnchor(self.epoch, reason)

    def timed_out(self, now: float) -> bool:
        """Whether too many heartbeats of the edge are missing: the connection must be dead."""
        return now > self._last_received + MAX_MISSED_HEARTBEATS * self.heartbeat_s

    def _receive_chunk(self, chunk: Chunk) -> Chunk | Ack | NeedAnchor | None:
        self._check(chunk)
        if chunk.seq < self._next_seq:
            self.duplicates += 1
            return self._ack()
        gap = chunk.seq > self._next_seq and not self._need_anchor
        self._next_seq = chunk.seq + 1
        if chunk.kind is SlotKind.ANCHOR:
            self._need_anchor = False
        elif gap:
            self.discarded += 1
            return self.require_anchor(f"chunks before {chunk.seq} are missing")
        elif self._need_anchor:
            self.discarded += 1
            return self._ack()
        self._charge(chunk)
        return chunk

    def _check(self, chunk: Chunk) -> None:
        if chunk.stream != self.hello.stream:
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"a chunk of stream {chunk.stream} arrived on the uplink of {self.hello.stream}",
            )
        if chunk.epoch != self.epoch:
            raise StreamRejected(
                RejectReason.OLD_EPOCH,
                f"stream {chunk.stream}: epoch {chunk.epoch} is not the current {self.epoch}",
                retry_after_s=1.0,
            )
        if chunk.fingerprint != self._spec.fingerprint:
            raise StreamRejected(
                RejectReason.FINGERPRINT,
                f"stream {chunk.stream}: cells are for model grid {chunk.fingerprint or '(none)'}, "
                f"not {self._spec.fingerprint}",
            )
        try:
            check_chunk(chunk, self._spec)
        except PatchError as error:
            raise StreamRejected(RejectReason.MALFORMED, str(error)) from error

    def _charge(self, chunk: Chunk) -> None:
        """Count a chunk against the credits. One chunk alone may exceed them."""
        in_flight = sum(self._unacked.values())
        if in_flight and in_flight + chunk.size > self._credit_bytes:
            raise StreamRejected(
                RejectReason.PROTOCOL,
                f"stream {chunk.stream}: chunk {chunk.seq} exceeds the credits of "
                f"{self._credit_bytes} bytes",
            )
        self._unacked[chunk.seq] = chunk.size

    def _receive_dropped(self, dropped: Dropped) -> Ack:
        if dropped.last < dropped.first:
            raise StreamRejected(RejectReason.MALFORMED, "a dropped range ends before it begins")
        if dropped.last >= self._next_seq:
            self.reported_dropped += dropped.last - max(dropped.first, self._next_seq) + 1
            self._next_seq = dropped.last + 1
            self._need_anchor = True
        return self._ack()

    def _ack(self) -> Ack:
        """Acknowledge everything before the oldest chunk that is not stored yet."""
        seq = min(self._unacked, default=self._next_seq) - 1
        return Ack(self.epoch, seq, self._credit_bytes)
