"""StreamClock: monotonic timestamps across connections, loops and clock jumps."""

from collections import Counter
from fractions import Fraction

import pytest

from codecsight.video.capture.timing.clock import StreamClock

TICK = Fraction(1, 1000)
MPEG = Fraction(1, 90_000)


class Wall:
    """A wall clock set by the test."""

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


def rebase(clock: StreamClock, dts: list[int], duration: int = 100) -> list[int | None]:
    return [clock.rebase(stamp, stamp, duration)[0] for stamp in dts]


def live(clock: StreamClock, wall: Wall, dts: list[int], duration: int = 100) -> list[int | None]:
    """As `rebase`, for packets that arrive every 100 ms."""
    rebased = []
    for stamp in dts:
        rebased.append(clock.rebase(stamp, stamp, duration)[0])
        wall.now += 0.1
    return rebased


def test_a_stream_starts_at_zero_for_any_first_timestamp(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    clock.start_connection(TICK, reordered=False)
    assert rebase(clock, [5000, 5100, 5200]) == [0, 100, 200]


def test_a_loop_continues_where_the_last_round_ended(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    for start in (0, 300, 600):
        clock.start_connection(TICK, reordered=False)
        assert rebase(clock, [0, 100, 200]) == [start, start + 100, start + 200]


def test_a_loop_with_b_frames_keeps_decode_and_display_order(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    rebased = []
    for _ in range(2):
        clock.start_connection(TICK, reordered=True)
        stamps = [(0, -200), (300, -100), (100, 0), (200, 100)]
        rebased += [clock.rebase(pts, dts, 100) for pts, dts in stamps]
    assert [pts for pts, _ in rebased] == [0, 300, 100, 200, 400, 700, 500, 600]
    dts = [dts for _, dts in rebased if dts is not None]
    assert dts == sorted(set(dts))


def test_a_live_stream_continues_after_the_duration_of_its_interruption(
    anomalies: Counter[str], wall: Wall
) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    assert live(clock, wall, [0, 100]) == [0, 100]
    wall.now += 7.0
    clock.start_connection(TICK, reordered=False)
    assert live(clock, wall, [123_456, 123_556]) == [7200, 7300]


def test_connections_that_end_at_once_do_not_add_up(anomalies: Counter[str], wall: Wall) -> None:
    """A server that sends two seconds in advance each time must not move the stream ahead."""
    clock = StreamClock(anomalies, live=True, now=wall)
    for _ in range(50):
        clock.start_connection(TICK, reordered=False)
        rebase(clock, list(range(0, 2000, 100)))
        newest = live(clock, wall, list(range(2000, 2500, 100)))[-1]
    assert newest is not None
    assert newest / 1000 - (wall.now - 1000) == pytest.approx(60, abs=3), "at most the backlog"


def test_a_new_connection_may_have_another_time_base(anomalies: Counter[str], wall: Wall) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    live(clock, wall, [0, 100])
    wall.now += 1.0
    clock.start_connection(MPEG, reordered=False)
    assert live(clock, wall, [50, 9050], duration=9000) == [108_000, 117_000]


@pytest.mark.parametrize("jump", [-5000, -100, 0, 3_600_000])
def test_a_clock_jump_of_a_camera_is_removed_and_counted(
    anomalies: Counter[str], wall: Wall, jump: int
) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    rebased = live(clock, wall, [0, 100, 200, 200 + jump, 300 + jump])
    assert rebased == [0, 100, 200, 300, 400]
    assert anomalies.total() == 1


def test_a_pause_of_the_stream_is_no_clock_jump(anomalies: Counter[str], wall: Wall) -> None:
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=False)
    rebase(clock, [0])
    wall.now += 60.0
    assert rebase(clock, [60_000]) == [60_000]
    assert not anomalies


def test_gaps_in_a_recording_are_kept(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=False)
    clock.start_connection(TICK, reordered=False)
    assert rebase(clock, [0, 3_600_000]) == [0, 3_600_000]


def test_packets_without_timestamps_stay_without(anomalies: Counter[str]) -> None:
    clock = StreamClock(anomalies, live=True)
    clock.start_connection(TICK, reordered=False)
    assert clock.rebase(None, None, 100) == (None, None)
    assert clock.rebase(40, None, 100) == (0, None)


def test_b_frames_displayed_before_the_first_timestamp_get_no_negative_time(
    anomalies: Counter[str], wall: Wall
) -> None:
    """As over RTSP: the key frame has no timestamp, and its B-frames follow the P-frame."""
    clock = StreamClock(anomalies, live=True, now=wall)
    clock.start_connection(TICK, reordered=True)
    clock.rebase(None, None, 100)
    stamps = [(0, None), (-300, None), (-200, None), (-100, None), (400, None), (100, 100)]
    rebased = [clock.rebase(pts, dts, 100)[0] for pts, dts in stamps]
    assert rebased == [1000, 700, 800, 900, 1400, 1100]
    assert not anomalies
