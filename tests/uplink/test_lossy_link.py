"""Both ends of an uplink over a connection that may break at any moment.

Invariants: no chunk is applied twice, order is kept, no delta is applied after a gap, and memory is
bounded. In the end every chunk was applied, reported as dropped, or discarded by the cloud while it
waited for an anchor.
"""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind
from codecsight.uplink.cloud_link import CloudLink, SessionGrant
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.messages import CloudMessage, Dropped, EdgeMessage
from tests.uplink.chunks import ANCHOR, DELTA, SPEC, STREAM, anchor, delta

CAPACITY = 3 * ANCHOR.size + 2 * DELTA.size
CREDIT_BYTES = ANCHOR.size + 2 * DELTA.size
START = 1000


class Owner:
    """Owner of the stream in the cloud. Its state outlives a connection."""

    def __init__(self) -> None:
        self.epoch = 0
        self.applied: list[Chunk] = []

    def open(self) -> SessionGrant:
        self.epoch += 1
        return SessionGrant(self.epoch, SPEC, self.applied[-1].seq + 1 if self.applied else None)

    def push(self, chunk: Chunk) -> None:
        assert chunk.epoch == self.epoch
        if self.applied:
            assert chunk.seq > self.applied[-1].seq, "applied twice or out of order"
        if chunk.kind is SlotKind.DELTA:
            assert self.applied, "a delta without an anchor"
            assert chunk.seq == self.applied[-1].seq + 1, "a delta after a gap"
        self.applied.append(chunk)


class LossyLink(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.edge = EdgeLink("north", STREAM, "t", start_seq=START, capacity_bytes=CAPACITY)
        self.owner = Owner()
        self.cloud: CloudLink | None = None
        self.up: deque[EdgeMessage] = deque()
        self.down: deque[CloudMessage] = deque()
        self.received: deque[Chunk] = deque()
        self.offered = 0
        self.accounted: set[int] = set()
        self.reconnect(new_owner=False)

    @rule(periodic=st.booleans())
    def offer(self, periodic: bool) -> None:
        """The tracker makes a slot: an anchor on request, periodically, or as the first one."""
        if self.edge.spec is None:
            return
        full = self.edge.take_anchor_request() or periodic or not self.offered
        self.edge.offer(anchor() if full else delta(), self.now)
        self.offered += 1

    @rule()
    def send(self) -> None:
        self.up.extend(self.edge.take_outgoing(self.now))

    @precondition(lambda self: self.cloud is not None and self.up)
    @rule()
    def arrive(self) -> None:
        assert self.cloud is not None
        message = self.up.popleft()
        result = self.cloud.receive(message, self.now)
        match message:
            case Dropped():
                self.accounted.update(range(message.first, message.last + 1))
            case Chunk() if not isinstance(result, Chunk):
                self.accounted.add(message.seq)  # a duplicate, or discarded
        if isinstance(result, Chunk):
            self.received.append(result)
        elif result is not None:
            self.down.append(result)

    @precondition(lambda self: self.received)
    @rule()
    def apply(self) -> None:
        assert self.cloud is not None
        chunk = self.received.popleft()
        self.owner.push(chunk)
        self.accounted.add(chunk.seq)
        self.down.append(self.cloud.acknowledge(chunk.seq))

    @precondition(lambda self: self.down)
    @rule()
    def reply(self) -> None:
        self.edge.receive(self.down.popleft(), self.now)

    @precondition(lambda self: self.cloud is not None and self.owner.applied)
    @rule()
    def evict(self) -> None:
        """The owner evicts the stream's KV blocks."""
        assert self.cloud is not None
        self.down.append(self.cloud.require_anchor("evicted"))

    @rule()
    def disconnect(self) -> None:
        """Break the connection: messages in flight and received but unapplied chunks are lost."""
        self.cloud = None
        self.up.clear()
        self.down.clear()
        self.received.clear()
        self.edge.disconnect()

    @precondition(lambda self: self.cloud is None)
    @rule(new_owner=st.booleans())
    def reconnect(self, new_owner: bool) -> None:
        """Connect to the same owner, or to a new one without state of the stream."""
        if new_owner:
            epoch = self.owner.epoch
            self.owner = Owner()
            self.owner.epoch = epoch
        hello = self.edge.connect(640, 360, self.now)
        self.cloud = CloudLink(hello, self.owner.open(), self.now, credit_bytes=CREDIT_BYTES)
        self.down.append(self.cloud.welcome())

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.edge.backlog_bytes <= CAPACITY
        assert sum(chunk.size for chunk in self.received) <= CREDIT_BYTES

    def teardown(self) -> None:
        """Deliver everything over a stable connection, and check the final state."""
        if self.cloud is None:
            self.reconnect(new_owner=False)
        for _ in range(2000):
            self.send()
            if not (self.up or self.received or self.down):
                break
            for step, ready in (
                (self.arrive, self.up),
                (self.apply, self.received),
                (self.reply, self.down),
            ):
                if ready:
                    step()
        assert self.edge.idle
        assert self.edge.backlog_bytes == 0
        assert self.accounted >= set(range(START, START + self.offered))


TestLossyLink = LossyLink.TestCase
TestLossyLink.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
