"""What one step does: decided from a few numbers per stream, without a model or a cache."""

from collections.abc import Sequence
from dataclasses import dataclass

COST_S = 0.001
"""How long a token of work may wait for lighter work: a slot of 100 tokens lets one of 20 that
came up to 80 ms later go first. So anchors of many streams that arrive together spread out, and
none waits for ever.
"""


@dataclass(frozen=True, slots=True)
class QuestionCost:
    """A question: the `tokens` it puts to the model next, the pool `rows` it must be given first
    (none once it has begun).
    """

    tokens: int
    rows: int


@dataclass(frozen=True, slots=True)
class StreamDemand:
    """What one stream waits for, since when (seconds of any steady clock): `cells` to encode, then
    `tokens` to prefill, then questions, the first of which costs `setup` more.
    """

    stream: int
    since: float
    cells: int = 0
    tokens: int = 0
    asks: tuple[QuestionCost, ...] = ()
    setup: int = 0

    @property
    def urgency(self) -> float:
        """Who goes first: the smaller, the sooner."""
        return self.since + COST_S * (self.cells + self.tokens)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A stream's part in a step: whether its slot is encoded, how many `tokens` are prefilled, how
    many of its `asks` are put, and what all that costs.
    """

    stream: int
    encode: bool
    tokens: int
    asks: int
    cost: int


def schedule(waiting: Sequence[StreamDemand], budget: int, room: int) -> list[Allocation]:
    """Who gets what of the next step: at most `budget` tokens of work (a cell to encode counts as
    one) and `room` pool rows for new questions. Something always gets done: a piece that can't be
    cut (the cells of a slot, a question) and is larger than the budget has a step to itself.

    One stream gets half of a step at most as long as others wait.
    """
    queue = sorted(waiting, key=lambda each: each.urgency)
    most = budget if len(queue) == 1 else max(budget // 2, 1)
    shares: list[Allocation] = []
    left = budget
    for each in queue:
        share = _share(each, min(left, most), room, alone=not shares)
        if share.cost:
            shares.append(share)
            left -= share.cost
            room -= sum(ask.rows for ask in each.asks[: share.asks])
        if left <= 0:
            break
    return shares


def _share(each: StreamDemand, left: int, room: int, *, alone: bool) -> Allocation:
    """What fits of one stream's work."""
    if each.cells > left and not alone:
        return Allocation(each.stream, encode=False, tokens=0, asks=0, cost=0)
    tokens = min(each.tokens, max(left - each.cells, 0))
    cost, asks = each.cells + tokens, 0
    if tokens == each.tokens:
        asks, extra = _fitting(each, left - cost, room, alone=alone and not cost)
        cost += extra
    return Allocation(each.stream, encode=each.cells > 0, tokens=tokens, asks=asks, cost=cost)


def _fitting(each: StreamDemand, left: int, room: int, *, alone: bool) -> tuple[int, int]:
    """How many of its questions fit into the step and into the pool, and what they cost."""
    count, cost = 0, each.setup
    for ask in each.asks:
        if ask.rows > room or (cost + ask.tokens > left and not (alone and count == 0)):
            break
        count, cost, room = count + 1, cost + ask.tokens, room - ask.rows
    return count, cost if count else 0
