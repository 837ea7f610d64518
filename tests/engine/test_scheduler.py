"""A step's decision is a plain value: what goes into it is written down, nothing is run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.engine.scheduler import COST_S, Allocation, QuestionCost, StreamDemand, schedule

ASK = QuestionCost(tokens=10, kv_entries=10)


def served(shares: list[Allocation]) -> list[int]:
    return [share.stream for share in shares]


def test_everything_that_fits_goes_in_one_step() -> None:
    waiting = [
        StreamDemand(n, since=n, cells=10, tokens=20, questions=(ASK,), context_tokens=5)
        for n in range(4)
    ]
    shares = schedule(waiting, budget=1000, kv_entries=1000)
    assert shares == [Allocation(n, encode=True, tokens=20, questions=1, cost=45) for n in range(4)]


def test_the_longest_waiting_go_first() -> None:
    waiting = [StreamDemand(n, since=10.0 - n, tokens=30) for n in range(4)]
    assert served(schedule(waiting, budget=60, kv_entries=0)) == [3, 2]


def test_a_light_slot_overtakes_an_anchor_that_came_a_little_earlier() -> None:
    anchor, delta = (
        StreamDemand(0, since=0.0, cells=50, tokens=60),
        StreamDemand(1, since=0.05, tokens=20),
    )
    assert served(schedule([anchor, delta], budget=200, kv_entries=0)) == [1, 0]


def test_but_not_for_ever() -> None:
    anchor = StreamDemand(0, since=0.0, cells=50, tokens=60)
    late = StreamDemand(1, since=110 * COST_S + 0.1, tokens=20)
    assert served(schedule([anchor, late], budget=200, kv_entries=0)) == [0, 1]


def test_a_long_slot_is_cut_and_leaves_half_of_the_step_to_others() -> None:
    long, short = StreamDemand(0, since=0.0, tokens=500), StreamDemand(1, since=9.0, tokens=40)
    assert schedule([long, short], budget=100, kv_entries=0) == [
        Allocation(0, encode=False, tokens=50, questions=0, cost=50),
        Allocation(1, encode=False, tokens=40, questions=0, cost=40),
    ]


def test_alone_a_stream_may_use_the_whole_step() -> None:
    assert schedule([StreamDemand(0, 0.0, tokens=500)], budget=100, kv_entries=0)[0].tokens == 100


def test_cells_are_not_cut_but_have_a_step_to_themselves() -> None:
    large, other = (
        StreamDemand(0, since=0.0, cells=300, tokens=310),
        StreamDemand(1, since=0.1, tokens=9),
    )
    first = schedule([large, other], budget=100, kv_entries=0)
    assert first == [
        Allocation(1, encode=False, tokens=9, questions=0, cost=9)
    ]  # lighter, and it fits
    assert schedule([large], budget=100, kv_entries=0) == [
        Allocation(0, encode=True, tokens=0, questions=0, cost=300)
    ]


def test_questions_wait_until_their_slot_is_in() -> None:
    waiting = [
        StreamDemand(0, 0.0, tokens=150, questions=(ASK,)),
        StreamDemand(1, 0.0, questions=(ASK,)),
    ]
    shares = {share.stream: share for share in schedule(waiting, budget=100, kv_entries=100)}
    assert shares[0].questions == 0
    assert shares[1].questions == 1


def test_questions_share_the_room_there_is() -> None:
    waiting = [StreamDemand(n, since=n, questions=(ASK, ASK)) for n in range(3)]
    shares = schedule(waiting, budget=1000, kv_entries=35)
    assert [(share.stream, share.questions) for share in shares] == [(0, 2), (1, 1)]


def test_a_question_under_way_needs_no_more_room() -> None:
    waiting = [StreamDemand(0, since=0.0, questions=(QuestionCost(tokens=1, kv_entries=0),))]
    assert schedule(waiting, budget=100, kv_entries=0)[0].questions == 1


streams = st.lists(
    st.builds(
        StreamDemand,
        stream=st.integers(0, 99),
        since=st.floats(0, 10),
        cells=st.integers(0, 300),
        tokens=st.integers(0, 800),
        questions=st.lists(
            st.builds(QuestionCost, st.integers(1, 60), st.integers(0, 60)), max_size=3
        ).map(tuple),
        context_tokens=st.integers(0, 60),
    ).filter(lambda each: each.cells or each.tokens or each.questions),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each.stream,
)


@given(streams, st.integers(1, 400))
def test_a_step_keeps_its_budget_and_always_does_something(
    waiting: list[StreamDemand], budget: int
) -> None:
    shares = schedule(waiting, budget, kv_entries=60)
    assert shares
    spent = sum(share.cost for share in shares)
    assert spent <= budget or len(shares) == 1
    by_stream = {each.stream: each for each in waiting}
    rows = 0
    for share in shares:
        each = by_stream[share.stream]
        assert share.encode == (each.cells > 0)
        assert 0 <= share.tokens <= each.tokens
        assert share.questions == 0 or share.tokens == each.tokens
        rows += sum(due.kv_entries for due in each.questions[: share.questions])
    assert rows <= 60


@pytest.mark.parametrize("budget", [40, 100, 1000])
def test_every_stream_is_done_in_the_end(budget: int) -> None:
    left = {
        n: StreamDemand(n, n / 10, cells=48, tokens=60 * (n + 1), questions=(ASK,))
        for n in range(6)
    }
    for _ in range(200):
        for share in schedule(list(left.values()), budget, kv_entries=20):
            each = left.pop(share.stream)
            done = share.questions == len(each.questions) and share.tokens == each.tokens
            if not done:
                rest = each.tokens - share.tokens
                left[share.stream] = StreamDemand(each.stream, each.since, 0, rest, each.questions)
        if not left:
            return
    pytest.fail(f"still waiting: {left}")
