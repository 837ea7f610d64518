"""The cloud's end of one connection of an uplink, as a plain state machine."""

from dataclasses import dataclass

from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec
from codecsight.core.slot import SlotKind
from codecsight.patches.codec import PatchError
from codecsight.patches.packing import inspect
from codecsight.uplink.edge_link import MISSED_BEATS
from codecsight.uplink.messages import (
    PROTOCOL,
    Ack,
    Dropped,
    EdgeMessage,
    Hello,
    NeedAnchor,
    Reject,
    RejectReason,
    Welcome,
)

WINDOW = 2 << 20
"""Bytes one stream may have under way: a large anchor and a dozen deltas."""


class StreamRejected(CodecSightError):  # noqa: N818 - it is an answer, not an accident
    """The cloud will not go on with an uplink; `reject` is what the edge is told."""

    def __init__(self, reason: RejectReason, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.reject = Reject(reason, detail, retry_after_s)


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """What the stream's owner says to a new connection. `next_seq` is the first chunk it has not
    got, None if it knows nothing of the stream yet. Every connection has an epoch of its own,
    higher than any before, and the owner takes no chunk of a lower one.
    """

    epoch: int
    spec: GridSpec
    next_seq: int | None
    need_anchor: bool = False


class CloudLink:
    """One connection, from a Hello that was accepted to its end.

    Chunks come out of `receive` in order, each once, and none that stands on something missing.
    The receiver calls `taken` when it has put a chunk where a lost connection can't reach it; until
    then the chunk counts against the credits. Times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        hello: Hello,
        opening: SessionGrant,
        now: float,
        *,
        heartbeat_s: float = 10.0,
        window: int = WINDOW,
    ) -> None:
        if hello.protocol != PROTOCOL:
            raise StreamRejected(
                RejectReason.PROTOCOL,
                f"this cloud speaks protocol {PROTOCOL}, the site {hello.protocol}; upgrade the "
                + ("site" if hello.protocol < PROTOCOL else "cloud"),
            )
        self.hello = hello
        self.epoch = opening.epoch
        self.duplicates = self.discarded = self.reported = 0
        self._spec = opening.spec
        self.heartbeat_s, self._window = heartbeat_s, window
        self._heard = now
        self._pending: dict[int, int] = {}
        known = opening.next_seq is not None and opening.next_seq <= hello.next_seq
        self._expected = opening.next_seq if known and opening.next_seq is not None else 0
        self._lost = opening.need_anchor or not known or hello.fingerprint != self._spec.fingerprint

    def welcome(self) -> Welcome:
        """The answer to the Hello."""
        return Welcome(
            epoch=self.epoch,
            resume_seq=self._expected,
            need_anchor=self._lost,
            credits=self._window,
            heartbeat_s=self.heartbeat_s,
            spec=self._spec,
        )

    def receive(self, message: EdgeMessage, now: float) -> Chunk | Ack | NeedAnchor | None:
        """Take in one message: gives a chunk to be applied, or an answer for the edge, or nothing.

        Raises StreamRejected when the connection must end.
        """
        self._heard = now
        match message:
            case Chunk():
                return self._chunk(message)
            case Dropped():
                return self._dropped(message)
            case Hello():
                raise StreamRejected(RejectReason.PROTOCOL, "a second Hello on the same connection")
            case _:
                return None

    def taken(self, seq: int) -> Ack:
        """The receiver has the chunk `seq` for good; the answer to send."""
        del self._pending[seq]
        return self._ack()

    def require_anchor(self, reason: str) -> NeedAnchor:
        """The receiver lost its picture of the stream: deltas are useless until an anchor."""
        self._lost = True
        return NeedAnchor(self.epoch, reason)

    def silent(self, now: float) -> bool:
        """Whether the edge has been quiet for so long that the connection must be dead."""
        return now > self._heard + MISSED_BEATS * self.heartbeat_s

    def _chunk(self, chunk: Chunk) -> Chunk | Ack | NeedAnchor | None:
        self._check(chunk)
        if chunk.seq < self._expected:
            self.duplicates += 1
            return self._ack()
        gap = chunk.seq > self._expected and not self._lost
        self._expected = chunk.seq + 1
        if chunk.kind is SlotKind.ANCHOR:
            self._lost = False
        elif gap:
            self.discarded += 1
            return self.require_anchor(f"chunks before {chunk.seq} are missing")
        elif self._lost:
            self.discarded += 1
            return self._ack()
        self._charge(chunk)
        return chunk

    def _check(self, chunk: Chunk) -> None:
        if chunk.stream != self.hello.stream:
            raise StreamRejected(
                RejectReason.UNKNOWN_STREAM,
                f"a chunk of stream {chunk.stream} came on the uplink of {self.hello.stream}",
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
            inspect(chunk, self._spec)
        except PatchError as error:
            raise StreamRejected(RejectReason.MALFORMED, str(error)) from error

    def _charge(self, chunk: Chunk) -> None:
        under_way = sum(self._pending.values())
        if under_way and under_way + chunk.size > self._window:
            raise StreamRejected(
                RejectReason.PROTOCOL,
                f"stream {chunk.stream}: chunk {chunk.seq} exceeds {self._window} credited bytes",
            )
        self._pending[chunk.seq] = chunk.size

    def _dropped(self, dropped: Dropped) -> Ack:
        if dropped.last < dropped.first:
            raise StreamRejected(RejectReason.MALFORMED, "a dropped range ends before it begins")
        if dropped.last >= self._expected:
            self.reported += dropped.last - max(dropped.first, self._expected) + 1
            self._expected = dropped.last + 1
            self._lost = True
        return self._ack()

    def _ack(self) -> Ack:
        """Everything before the oldest chunk that the receiver has not taken yet."""
        return Ack(self.epoch, min(self._pending, default=self._expected) - 1, self._window)
