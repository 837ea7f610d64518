"""ReceiveQueue: order, and skipping to the newest anchor."""

from collections.abc import Sequence

from codecsight.core.slot import SlotKind
from codecsight.uplink.receive_queue import ReceiveQueue
from tests.uplink.chunks import anchor, delta

ANCHOR, DELTA = SlotKind.ANCHOR, SlotKind.DELTA


def filled(kinds: Sequence[SlotKind], interval: float = 1.0) -> ReceiveQueue:
    """A queue that received one chunk every `interval` seconds, starting at 0."""
    queue = ReceiveQueue(max_wait_s=10.0)
    for seq, kind in enumerate(kinds):
        queue.put((anchor if kind is ANCHOR else delta)(seq=seq), seq * interval)
    return queue


def take(queue: ReceiveQueue, now: float) -> tuple[list[int], int]:
    skipped, chunk = queue.take(now)
    return [each.seq for each in skipped], chunk.seq


def test_chunks_are_taken_in_order() -> None:
    queue = filled([ANCHOR, DELTA, ANCHOR])
    assert [take(queue, 9.0) for _ in range(3)] == [([], 0), ([], 1), ([], 2)]
    assert len(queue) == 0


def test_chunks_that_waited_too_long_are_skipped_up_to_the_newest_anchor() -> None:
    queue = filled([ANCHOR, DELTA, ANCHOR, DELTA, ANCHOR, DELTA])
    assert take(queue, 10.5) == ([0, 1, 2, 3], 4)
    assert take(queue, 10.5) == ([], 5)


def test_without_a_queued_anchor_nothing_is_skipped() -> None:
    queue = filled([DELTA, DELTA, DELTA])
    assert take(queue, 100.0) == ([], 0)


def test_the_newest_anchor_is_never_skipped() -> None:
    queue = filled([ANCHOR, DELTA, DELTA])
    assert [take(queue, 100.0) for _ in range(3)] == [([], 0), ([], 1), ([], 2)]
