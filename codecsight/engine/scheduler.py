"""Decides what one step computes, from a few numbers per stream; no model and no cache.

Example: a step budget of 100 tokens, and two streams with slots to prefill:

    StreamDemand(stream_index=0, since=0.0, tokens=500)   an anchor that is already encoded
    StreamDemand(stream_index=1, since=9.0, tokens=40)    a delta

`schedule` gives half of the step to the anchor (50 tokens, the rest in later steps) and 40 tokens
to the delta, so a long slot delays others only by its share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

COST_S = 0.001
"""Seconds of waiting that one token of work is worth: a slot of 20 tokens goes before one of 100
tokens that came up to 80 ms earlier. So anchors of many streams that arrive together spread out,
and none waits for ever.
"""


@dataclass(frozen=True, slots=True)
class QuestionCost:
    """A question: the `tokens` of its next model call, and the `kv_entries` that must be allocated
    for it before (0 once it has begun).
    """

    tokens: int
    kv_entries: int


@dataclass(frozen=True, slots=True)
class StreamDemand:
    """The next job of one stream, waiting `since` (seconds of a monotonic clock): `cells` to
    encode, then `tokens` to prefill, then `questions`. The first question costs `context_tokens`
    more, the prefill that builds the query context.
    """

    stream_index: int
    since: float
    cells: int = 0
    tokens: int = 0
    questions: tuple[QuestionCost, ...] = ()
    context_tokens: int = 0

    @property
    def urgency(self) -> float:
        """Sort key: the smallest goes first."""
        return self.since + COST_S * (self.cells + self.tokens)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A stream's part of a step: whether its slot is encoded, how many `tokens` are prefilled, how
    many of its `questions` are asked, and the `cost` of all in tokens.
    """

    stream_index: int
    encode: bool
    tokens: int
    questions: int
    cost: int


def schedule(demands: Sequence[StreamDemand], budget: int, kv_entries: int) -> list[Allocation]:
    """Allocate at most `budget` tokens of work (a cell to encode counts as one) and `kv_entries` of
    the pool for new questions.

    Each step makes progress: work that cannot be split (the cells of a slot, a question) and
    exceeds the budget gets a step of its own. While others wait, one stream gets at most half of a
    step, unless the step begins with work of it that cannot be split.
    """
    queue = sorted(demands, key=lambda demand: demand.urgency)
    max_per_stream = budget if len(queue) == 1 else max(budget // 2, 1)
    allocations: list[Allocation] = []
    left = budget
    for demand in queue:
        limit = min(left, max_per_stream)
        allocation = _allocate(demand, limit, kv_entries, is_first=not allocations)
        if allocation.cost:
            allocations.append(allocation)
            left -= allocation.cost
            chosen = demand.questions[: allocation.questions]
            kv_entries -= sum(question.kv_entries for question in chosen)
        if left <= 0:
            break
    return allocations


def _allocate(demand: StreamDemand, limit: int, kv_entries: int, *, is_first: bool) -> Allocation:
    """As much of one stream's work as fits into `limit` tokens."""
    # The cells of a slot attend to each other, so a slot is encoded whole or not at all.
    if demand.cells > limit and not is_first:
        return Allocation(demand.stream_index, encode=False, tokens=0, questions=0, cost=0)
    tokens = min(demand.tokens, max(limit - demand.cells, 0))
    cost, questions = demand.cells + tokens, 0
    # Questions attend to the whole slot, so they wait until all of it is prefilled.
    if tokens == demand.tokens:
        can_exceed = is_first and not cost
        questions, extra = _fitting_questions(
            demand, limit - cost, kv_entries, can_exceed=can_exceed
        )
        cost += extra
    return Allocation(
        demand.stream_index, encode=demand.cells > 0, tokens=tokens, questions=questions, cost=cost
    )


def _fitting_questions(
    demand: StreamDemand, limit: int, kv_entries: int, *, can_exceed: bool
) -> tuple[int, int]:
    """How many of its questions fit into the step and into the pool, and their cost in tokens; one
    at least where the limit `can_exceed`.
    """
    count, cost = 0, demand.context_tokens
    for question in demand.questions:
        exceeds = cost + question.tokens > limit and not (can_exceed and count == 0)
        if question.kv_entries > kv_entries or exceeds:
            break
        count, cost = count + 1, cost + question.tokens
        kv_entries -= question.kv_entries
    return count, cost if count else 0
