"""Both ends of an uplink over a link that is cut at any moment.

Whatever happens: no chunk is applied twice, order is kept, no delta is applied onto a hole, memory
stays bounded, and once the link is quiet every chunk was applied, reported as dropped, or passed
over by the cloud while it waited for an anchor.
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
WINDOW = ANCHOR.size + 2 * DELTA.size
START = 1000


class Owner:
    """The stream's owner in the cloud: what survives a connection."""

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
            assert self.applied, "a delta on nothing"
            assert chunk.seq == self.applied[-1].seq + 1, "a delta on a hole"
        self.applied.append(chunk)


class Link(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.edge = EdgeLink("north", STREAM, "t", start_seq=START, capacity=CAPACITY)
        self.owner = Owner()
        self.cloud: CloudLink | None = None
        self.up: deque[EdgeMessage] = deque()
        self.down: deque[CloudMessage] = deque()
        self.received: deque[Chunk] = deque()
        self.offered = 0
        self.accounted: set[int] = set()
        self.reconnect(elsewhere=False)

    @rule(wish=st.booleans())
    def offer(self, wish: bool) -> None:
        """The tracker makes a slot: an anchor when it must, or when it likes to."""
        if self.edge.spec is None:
            return
        whole = self.edge.take_anchor_request() or wish or not self.offered
        self.edge.offer(anchor() if whole else delta(), self.now)
        self.offered += 1

    @rule()
    def send(self) -> None:
        self.up.extend(self.edge.outgoing(self.now))

    @precondition(lambda self: self.cloud is not None and self.up)
    @rule()
    def arrive(self) -> None:
        assert self.cloud is not None
        message = self.up.popleft()
        answer = self.cloud.receive(message, self.now)
        match message:
            case Dropped():
                self.accounted.update(range(message.first, message.last + 1))
            case Chunk() if not isinstance(answer, Chunk):
                self.accounted.add(message.seq)  # a duplicate, or passed over
        if isinstance(answer, Chunk):
            self.received.append(answer)
        elif answer is not None:
            self.down.append(answer)

    @precondition(lambda self: self.received)
    @rule()
    def apply(self) -> None:
        assert self.cloud is not None
        chunk = self.received.popleft()
        self.owner.push(chunk)
        self.accounted.add(chunk.seq)
        self.down.append(self.cloud.taken(chunk.seq))

    @precondition(lambda self: self.down)
    @rule()
    def answer(self) -> None:
        self.edge.receive(self.down.popleft(), self.now)

    @precondition(lambda self: self.cloud is not None and self.owner.applied)
    @rule()
    def evict(self) -> None:
        """The owner gives up its KV of the stream."""
        assert self.cloud is not None
        self.down.append(self.cloud.require_anchor("evicted"))

    @rule()
    def cut(self) -> None:
        """All that is under way is lost, and so is what was received but not applied."""
        self.cloud = None
        self.up.clear()
        self.down.clear()
        self.received.clear()
        self.edge.disconnect()

    @precondition(lambda self: self.cloud is None)
    @rule(elsewhere=st.booleans())
    def reconnect(self, elsewhere: bool) -> None:
        """To the same owner, or to one that knows nothing of the stream."""
        if elsewhere:
            epoch = self.owner.epoch
            self.owner = Owner()
            self.owner.epoch = epoch
        hello = self.edge.connect(640, 360, self.now)
        self.cloud = CloudLink(hello, self.owner.open(), self.now, window=WINDOW)
        self.down.append(self.cloud.welcome())

    @rule(seconds=st.sampled_from([0.5, 5.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def memory_is_bounded(self) -> None:
        assert self.edge.backlog_bytes <= CAPACITY
        assert sum(chunk.size for chunk in self.received) <= WINDOW

    def teardown(self) -> None:
        """Quiet: the link holds, and everything is carried to its end."""
        if self.cloud is None:
            self.reconnect(elsewhere=False)
        for _ in range(2000):
            self.send()
            if not (self.up or self.received or self.down):
                break
            for step, ready in (
                (self.arrive, self.up),
                (self.apply, self.received),
                (self.answer, self.down),
            ):
                if ready:
                    step()
        assert self.edge.idle
        assert self.edge.backlog_bytes == 0
        assert self.accounted >= set(range(START, START + self.offered))


TestLink = Link.TestCase
TestLink.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
