"""Scheduling: plain values in, plain values out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.engine.scheduler import COST_S, Allocation, QuestionCost, StreamDemand, schedule

QUESTION = QuestionCost(tokens=10, kv_entries=10)


def streams_of(allocations: list[Allocation]) -> list[int]:
    return [allocation.stream_index for allocation in allocations]


def test_everything_that_fits_goes_in_one_step() -> None:
    demands = [
        StreamDemand(n, since=n, cells=10, tokens=20, questions=(QUESTION,), context_tokens=5)
        for n in range(4)
    ]
    allocations = schedule(demands, budget=1000, kv_entries=1000)
    assert allocations == [
        Allocation(n, encode=True, tokens=20, questions=1, cost=45) for n in range(4)
    ]


def test_streams_that_wait_longest_go_first() -> None:
    demands = [StreamDemand(n, since=10.0 - n, tokens=30) for n in range(4)]
    assert streams_of(schedule(demands, budget=60, kv_entries=0)) == [3, 2]


def test_a_small_slot_goes_before_an_anchor_that_came_a_little_earlier() -> None:
    anchor, delta = (
        StreamDemand(0, since=0.0, cells=50, tokens=60),
        StreamDemand(1, since=0.05, tokens=20),
    )
    assert streams_of(schedule([anchor, delta], budget=200, kv_entries=0)) == [1, 0]


def test_an_anchor_goes_first_once_it_has_waited_for_its_cost() -> None:
    anchor = StreamDemand(0, since=0.0, cells=50, tokens=60)
    late = StreamDemand(1, since=110 * COST_S + 0.1, tokens=20)
    assert streams_of(schedule([anchor, late], budget=200, kv_entries=0)) == [0, 1]


def test_a_long_slot_is_split_and_leaves_half_of_the_step_to_others() -> None:
    long, short = StreamDemand(0, since=0.0, tokens=500), StreamDemand(1, since=9.0, tokens=40)
    assert schedule([long, short], budget=100, kv_entries=0) == [
        Allocation(0, encode=False, tokens=50, questions=0, cost=50),
        Allocation(1, encode=False, tokens=40, questions=0, cost=40),
    ]


def test_a_stream_alone_gets_the_whole_step() -> None:
    assert schedule([StreamDemand(0, 0.0, tokens=500)], budget=100, kv_entries=0)[0].tokens == 100


def test_the_cells_of_a_slot_are_not_split_but_get_a_step_of_their_own() -> None:
    large, other = (
        StreamDemand(0, since=0.0, cells=300, tokens=310),
        StreamDemand(1, since=0.1, tokens=9),
    )
    first = schedule([large, other], budget=100, kv_entries=0)
    assert first == [
        Allocation(1, encode=False, tokens=9, questions=0, cost=9)
    ]  # it is smaller and fits
    assert schedule([large], budget=100, kv_entries=0) == [
        Allocation(0, encode=True, tokens=0, questions=0, cost=300)
    ]


def test_questions_wait_until_their_slot_is_prefilled() -> None:
    demands = [
        StreamDemand(0, 0.0, tokens=150, questions=(QUESTION,)),
        StreamDemand(1, 0.0, questions=(QUESTION,)),
    ]
    allocations = {
        allocation.stream_index: allocation
        for allocation in schedule(demands, budget=100, kv_entries=100)
    }
    assert allocations[0].questions == 0
    assert allocations[1].questions == 1


def test_questions_share_the_free_kv_entries() -> None:
    demands = [StreamDemand(n, since=n, questions=(QUESTION, QUESTION)) for n in range(3)]
    allocations = schedule(demands, budget=1000, kv_entries=35)
    assert [(allocation.stream_index, allocation.questions) for allocation in allocations] == [
        (0, 2),
        (1, 1),
    ]


def test_a_question_that_has_begun_needs_no_more_kv_entries() -> None:
    demands = [StreamDemand(0, since=0.0, questions=(QuestionCost(tokens=1, kv_entries=0),))]
    assert schedule(demands, budget=100, kv_entries=0)[0].questions == 1


streams = st.lists(
    st.builds(
        StreamDemand,
        stream_index=st.integers(0, 99),
        since=st.floats(0, 10),
        cells=st.integers(0, 300),
        tokens=st.integers(0, 800),
        questions=st.lists(
            st.builds(QuestionCost, st.integers(1, 60), st.integers(0, 60)), max_size=3
        ).map(tuple),
        context_tokens=st.integers(0, 60),
    ).filter(lambda demand: demand.cells or demand.tokens or demand.questions),
    min_size=1,
    max_size=8,
    unique_by=lambda demand: demand.stream_index,
)


@given(streams, st.integers(1, 400))
def test_a_step_keeps_its_budget_and_always_makes_progress(
    demands: list[StreamDemand], budget: int
) -> None:
    allocations = schedule(demands, budget, kv_entries=60)
    assert allocations
    spent = sum(allocation.cost for allocation in allocations)
    assert spent <= budget or len(allocations) == 1
    by_stream = {demand.stream_index: demand for demand in demands}
    rows = 0
    for allocation in allocations:
        demand = by_stream[allocation.stream_index]
        assert allocation.encode == (demand.cells > 0)
        assert 0 <= allocation.tokens <= demand.tokens
        assert allocation.questions == 0 or allocation.tokens == demand.tokens
        rows += sum(question.kv_entries for question in demand.questions[: allocation.questions])
    assert rows <= 60


@pytest.mark.parametrize("budget", [40, 100, 1000])
def test_every_stream_is_finished_eventually(budget: int) -> None:
    left = {
        n: StreamDemand(n, n / 10, cells=48, tokens=60 * (n + 1), questions=(QUESTION,))
        for n in range(6)
    }
    for _ in range(200):
        for allocation in schedule(list(left.values()), budget, kv_entries=20):
            demand = left.pop(allocation.stream_index)
            done = (
                allocation.questions == len(demand.questions) and allocation.tokens == demand.tokens
            )
            if not done:
                rest = demand.tokens - allocation.tokens
                left[allocation.stream_index] = StreamDemand(
                    demand.stream_index, demand.since, 0, rest, demand.questions
                )
        if not left:
            return
    pytest.fail(f"unfinished: {left}")
