"""The edge's end of an uplink, as a plain state machine: no sockets, no clock of its own."""

from dataclasses import replace

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import SlotKind
from codecsight.uplink.backlog import Backlog
from codecsight.uplink.messages import (
    PROTOCOL,
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

MISSED_BEATS = 3
"""So many heartbeats of silence and a connection counts as dead, on either end."""


class EdgeLink:
    """Keeps one stream's chunks until the cloud has them, over any number of connections.

    `connect` begins a connection and gives its Hello; then `receive` takes what comes in and
    `outgoing` gives what may be sent now; `disconnect` ends it. `capacity` bounds the backlog in
    bytes and must exceed the largest chunk. What waited for more than `patience` seconds is passed
    over for the newest anchor: answers about the past are worth little, and the archive has it.

    `start_seq` is the first chunk's number. It must exceed every number of an earlier life of this
    stream, so that a cloud that remembers that life does not take new chunks for old ones; the
    wall clock in milliseconds will do.

    All times are seconds of one monotonic clock.
    """

    def __init__(
        self,
        site: str,
        stream: str,
        software: str,
        *,
        start_seq: int,
        capacity: int = 16 << 20,
        patience: float = 30.0,
    ) -> None:
        self.stream = stream
        self.spec: GridSpec | None = None
        self.epoch = 0
        self.heartbeat_s = 0.0
        self.rejected: Reject | None = None
        self._hello = Hello(site, stream, PROTOCOL, software, "", 0, 0, start_seq)
        self._backlog = Backlog(start_seq, capacity)
        self._patience = patience
        self._welcomed = False
        self._credits = 0
        self._beaten = self._heard = 0.0
        self._anchor_wanted = False

    @property
    def connected(self) -> bool:
        """Whether the cloud has welcomed this connection."""
        return self._welcomed

    @property
    def backlog_bytes(self) -> int:
        """Memory held for chunks that are not acknowledged."""
        return self._backlog.size

    @property
    def dropped(self) -> int:
        """Chunks given up so far; each of them is reported to the cloud."""
        return self._backlog.dropped

    @property
    def idle(self) -> bool:
        """Whether the cloud has everything that was offered, or knows that it won't come."""
        return self._backlog.settled == self._backlog.next_seq

    def connect(self, width: int, height: int, now: float) -> Hello:
        """Begin a connection for pictures of `width` x `height`: the first message to send."""
        self.disconnect()
        self.rejected, self._heard = None, now
        return replace(
            self._hello,
            fingerprint=self.spec.fingerprint if self.spec else "",
            width=width,
            height=height,
            next_seq=self._backlog.next_seq,
        )

    def disconnect(self) -> None:
        """The connection is over; whatever was under way is kept for the next one."""
        self._welcomed = False
        self._backlog.rewind()

    def offer(self, chunk: Chunk, now: float) -> None:
        """Hand over a chunk to be sent when it may; it is numbered here."""
        if self.spec is None or chunk.fingerprint != self.spec.fingerprint:
            self._backlog.refuse("cells of another model")
            self._anchor_wanted = True
            return
        if not self._backlog.offer(chunk, now):
            self._anchor_wanted = True

    def take_anchor_request(self) -> bool:
        """Whether the tracker must make an anchor now; asking clears the request."""
        wanted, self._anchor_wanted = self._anchor_wanted, False
        return wanted

    def receive(self, message: CloudMessage, now: float) -> None:
        """Take in what the cloud said."""
        self._heard = now
        match message:
            case Welcome():
                self._welcome(message, now)
            case Ack() if message.epoch == self.epoch:
                self._backlog.settle(message.seq + 1)
                self._credits = message.credits
            case NeedAnchor() if message.epoch == self.epoch:
                self._from_anchor("the cloud asked for an anchor")
            case Reject():
                self._reject(message)
            case _:
                pass

    def outgoing(self, now: float) -> list[Chunk | Dropped]:
        """What may be sent now, in order; it counts as under way from here on."""
        sent: list[Chunk | Dropped] = []
        while self._welcomed and (item := self._next(now)) is not None:
            self._backlog.advance(item)
            sent.append(replace(item, epoch=self.epoch) if isinstance(item, Chunk) else item)
        return sent

    def heartbeat(self, now: float, wall: float, stats: CameraStats | None) -> Heartbeat | None:
        """The sign of life, if one is due."""
        if not self._welcomed or now < self._beaten + self.heartbeat_s:
            return None
        self._beaten = now
        return Heartbeat(wall, stats)

    def silent(self, now: float) -> bool:
        """Whether the cloud has been quiet for so long that the connection must be dead."""
        return self._welcomed and now > self._heard + MISSED_BEATS * self.heartbeat_s

    def _welcome(self, welcome: Welcome, now: float) -> None:
        self.epoch, self._credits = welcome.epoch, welcome.credits
        self.heartbeat_s, self._beaten = welcome.heartbeat_s, now - welcome.heartbeat_s
        self._welcomed = True
        continuous = self._backlog.settled <= welcome.resume_seq <= self._backlog.next_seq
        if continuous:
            self._backlog.settle(welcome.resume_seq)
        if welcome.spec != self.spec:
            self._backlog.clear("cells of another model")
        self.spec = welcome.spec
        if welcome.need_anchor or not (continuous or self._anchor_is_next()):
            self._from_anchor("the cloud has no picture of the stream")

    def _reject(self, reject: Reject) -> None:
        """What the cloud can't read it shall not be shown again: the next anchor starts afresh."""
        self.rejected, self._welcomed = reject, False
        if reject.reason in (RejectReason.MALFORMED, RejectReason.FINGERPRINT):
            self._backlog.rewind()
            self._backlog.clear("the cloud could not read it")
            self._anchor_wanted = True

    def _from_anchor(self, reason: str) -> None:
        if not self._backlog.skip_to_anchor(reason):
            self._backlog.clear(reason)
            self._anchor_wanted = True

    def _anchor_is_next(self) -> bool:
        item = self._backlog.peek()
        return isinstance(item, Chunk) and item.kind is SlotKind.ANCHOR

    def _next(self, now: float) -> Chunk | Dropped | None:
        """What stands next in line, if the credits allow. With nothing under way one chunk may
        always go, or a chunk larger than the credits would wait for ever.
        """
        item = self._backlog.peek()
        if isinstance(item, Chunk) and now > self._backlog.waiting_since(item) + self._patience:
            self._backlog.skip_to_anchor("it waited too long")
            item = self._backlog.peek()
        if isinstance(item, Chunk) and not self._may_send(item):
            return None
        return item

    def _may_send(self, chunk: Chunk) -> bool:
        under_way = self._backlog.in_flight
        return self._credits > 0 and (not under_way or under_way + chunk.size <= self._credits)
