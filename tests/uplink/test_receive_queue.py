from collections.abc import Sequence

from codecsight.core.slot import SlotKind
from codecsight.uplink.receive_queue import ReceiveQueue
from tests.uplink.chunks import anchor, delta

ANCHOR, DELTA = SlotKind.ANCHOR, SlotKind.DELTA


def filled(kinds: Sequence[SlotKind], every: float = 1.0) -> ReceiveQueue:
    """A chunk each `every` seconds from 0 on; none taken."""
    inbox = ReceiveQueue(patience=10.0)
    for seq, kind in enumerate(kinds):
        inbox.put((anchor if kind is ANCHOR else delta)(seq=seq), seq * every)
    return inbox


def taken(inbox: ReceiveQueue, now: float) -> tuple[list[int], int]:
    passed, following = inbox.take(now)
    return [each.seq for each in passed], following.seq


def test_chunks_come_out_as_they_came_in() -> None:
    inbox = filled([ANCHOR, DELTA, ANCHOR])
    assert [taken(inbox, 9.0) for _ in range(3)] == [([], 0), ([], 1), ([], 2)]
    assert len(inbox) == 0


def test_what_waited_too_long_is_passed_over_for_the_newest_anchor() -> None:
    inbox = filled([ANCHOR, DELTA, ANCHOR, DELTA, ANCHOR, DELTA])
    assert taken(inbox, 10.5) == ([0, 1, 2, 3], 4)
    assert taken(inbox, 10.5) == ([], 5)


def test_without_an_anchor_to_go_on_from_nothing_is_passed_over() -> None:
    inbox = filled([DELTA, DELTA, DELTA])
    assert taken(inbox, 100.0) == ([], 0)


def test_an_old_anchor_that_is_the_newest_is_taken() -> None:
    inbox = filled([ANCHOR, DELTA, DELTA])
    assert [taken(inbox, 100.0) for _ in range(3)] == [([], 0), ([], 1), ([], 2)]
