"""One clock that never runs backwards, whatever connections and cameras do."""

from collections import Counter
from fractions import Fraction

import pytest

from codecsight.video.capture.clock import StreamClock

TICK = Fraction(1, 1000)
MPEG = Fraction(1, 90_000)


class Wall:
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def anomalies() -> Counter[str]:
    return Counter()


def place(clock: StreamClock, dts: list[int], duration: int = 100) -> list[int | None]:
    return [clock.rebase(stamp, stamp, duration)[0] for stamp in dts]


def test_a_stream_begins_at_zero_wherever_its_camera_counts_from(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    clock.start_connection(TICK, reordered=False)
    assert place(clock, [5000, 5100, 5200]) == [0, 100, 200]


def test_a_loop_goes_on_where_the_last_round_ended(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    for begin in (0, 300, 600):
        clock.start_connection(TICK, reordered=False)
        assert place(clock, [0, 100, 200]) == [begin, begin + 100, begin + 200]


def test_a_loop_of_b_frames_keeps_both_orders(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    placed = []
    for _ in range(2):
        clock.start_connection(TICK, reordered=True)
        stamps = [(0, -200), (300, -100), (100, 0), (200, 100)]
        placed += [clock.rebase(pts, dts, 100) for pts, dts in stamps]
    assert [pts for pts, _ in placed] == [0, 300, 100, 200, 400, 700, 500, 600]
    dts = [dts for _, dts in placed if dts is not None]
    assert dts == sorted(set(dts))


def test_a_live_stream_goes_on_after_the_time_it_was_away(
    anomalies: Counter[str], wall: Wall
) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    assert place(clock, [0, 100]) == [0, 100]
    wall.now += 7.0
    clock.start_connection(TICK, reordered=False)
    assert place(clock, [123_456, 123_556]) == [7200, 7300]


def test_a_connection_may_count_in_other_ticks(anomalies: Counter[str], wall: Wall) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    place(clock, [0, 100])
    wall.now += 1.0
    clock.start_connection(MPEG, reordered=False)
    assert place(clock, [50, 9050], duration=9000) == [108_000, 117_000]


@pytest.mark.parametrize("jump", [-5000, -100, 0, 3_600_000])
def test_a_camera_that_sets_its_clock_is_carried_on(
    anomalies: Counter[str], wall: Wall, jump: int
) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    placed = place(clock, [0, 100, 200, 200 + jump, 300 + jump])
    assert placed == [0, 100, 200, 300, 400]
    assert anomalies == {"clock jumps": 1}


def test_a_silence_is_not_a_jump(anomalies: Counter[str], wall: Wall) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    place(clock, [0])
    wall.now += 60.0
    assert place(clock, [60_000]) == [60_000]
    assert not anomalies


def test_a_recordings_own_gaps_are_kept(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    clock.start_connection(TICK, reordered=False)
    assert place(clock, [0, 3_600_000]) == [0, 3_600_000]


def test_packets_without_a_time_stay_without(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=True)
    clock.start_connection(TICK, reordered=False)
    assert clock.rebase(None, None, 100) == (None, None)
    assert clock.rebase(40, None, 100) == (0, None)


def test_b_frames_shown_before_the_first_timed_picture_are_not_before_zero(
    anomalies: Counter[str], wall: Wall
) -> None:
    """As over RTSP: the key frame comes without a time, and its B-frames after the P-frame."""
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=True)
    clock.rebase(None, None, 100)
    stamps = [(0, None), (-300, None), (-200, None), (-100, None), (400, None), (100, 100)]
    placed = [clock.rebase(pts, dts, 100)[0] for pts, dts in stamps]
    assert placed == [1000, 700, 800, 900, 1400, 1100]
    assert not anomalies
