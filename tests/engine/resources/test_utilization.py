"""Admission by device time; times are passed in, so nothing waits."""

import pytest

from codecsight.engine import DeviceBusy
from codecsight.engine.resources.utilization import HORIZON_S, Utilization


def busy(utilization: Utilization, share: float, until: float, every: float = 0.1) -> None:
    """Busy for this share of the horizon before `until`."""
    for number in range(round(HORIZON_S / every)):
        start = until - HORIZON_S + number * every
        utilization.record_busy(start, start + share * every)


def test_streams_are_admitted_while_there_is_time_for_one_more() -> None:
    utilization = Utilization(max_utilization=0.9)
    for stream in "abcd":
        utilization.admit(stream, 0.0)
    busy(utilization, 0.6, until=20.0)
    utilization.admit("e", 20.0)  # five are expected to take 75%
    busy(utilization, 0.74, until=40.0)
    utilization.admit("f", 40.0)  # six: 89%
    busy(utilization, 0.9, until=60.0)
    with pytest.raises(DeviceBusy, match=r"stream 'g': 6 streams .* for 90%") as rejected:
        utilization.admit("g", 60.0)
    assert (rejected.value.streams, rejected.value.utilization) == (6, pytest.approx(0.9))


def test_a_removed_stream_makes_room() -> None:
    utilization = Utilization(max_utilization=0.9)
    for stream in "ab":
        utilization.admit(stream, 0.0)
    busy(utilization, 0.8, until=20.0)
    with pytest.raises(DeviceBusy):
        utilization.admit("c", 20.0)
    utilization.remove("b")
    busy(utilization, 0.4, until=40.0)
    utilization.admit("c", 40.0)


def test_new_streams_count_by_how_long_they_were_open() -> None:
    """Many streams that come at once are not all admitted because they have cost nothing yet."""
    utilization = Utilization(max_utilization=0.9)
    for number in range(4):
        utilization.admit(str(number), 0.0)
    for number in range(4):  # within one second, each costs a tenth of it
        utilization.record_busy(number / 4, number / 4 + 0.1)
    assert utilization.expected(1.0) == pytest.approx(0.5)
    for number in range(4, 9):
        utilization.admit(str(number), 1.0)
    with pytest.raises(DeviceBusy):
        utilization.admit("9", 1.0)


def test_unmeasured_streams_are_admitted_by_the_prior() -> None:
    utilization = Utilization(max_utilization=0.9, prior=0.1)
    for number in range(9):
        utilization.admit(str(number), 0.0)
    with pytest.raises(DeviceBusy, match=r"9 streams keep .* for 0% .* 100% are expected"):
        utilization.admit("9", 0.0)


def test_the_first_slots_of_many_streams_are_not_taken_for_their_rate() -> None:
    """Each sends a slot a second, the first at once; a slot takes 5 ms."""
    utilization = Utilization(max_utilization=0.9, prior=0.01, slot_interval_s=1.0)
    for number in range(80):
        now = number / 100
        utilization.admit(str(number), now)
        utilization.record_busy(now, now + 0.005)
    assert utilization.expected(0.8) == pytest.approx(0.79, abs=0.01)


def test_as_streams_settle_their_measured_cost_replaces_the_prior() -> None:
    utilization = Utilization(max_utilization=0.9, prior=0.1, settling_s=20.0)
    for number in range(9):
        utilization.admit(str(number), 0.0)
    busy(utilization, 0.36, until=10.0)  # each of the nine costs 4%, and is half settled
    assert utilization.expected(10.0) == pytest.approx(4.5 * 0.04 + 5.5 * 0.1)
    busy(utilization, 0.36, until=20.0)
    assert utilization.expected(20.0) == pytest.approx(0.36 + 0.1)
    for number in range(9, 14):
        utilization.admit(str(number), 20.0)
    with pytest.raises(DeviceBusy):
        utilization.admit("14", 20.0)


def test_streams_that_cost_more_than_the_prior_count_by_their_cost() -> None:
    utilization = Utilization(max_utilization=0.9, prior=0.1)
    for number in range(3):
        utilization.admit(str(number), 0.0)
    busy(utilization, 0.75, until=10.0)
    assert utilization.expected(10.0) == pytest.approx(1.0)
    with pytest.raises(DeviceBusy):
        utilization.admit("3", 10.0)


def test_work_before_the_horizon_does_not_count() -> None:
    utilization = Utilization(max_utilization=0.9)
    busy(utilization, 1.0, until=10.0)
    assert utilization.share(10.0) == pytest.approx(1.0)
    assert utilization.share(15.0) == pytest.approx(0.5)
    assert utilization.share(40.0) == 0.0


def test_the_first_stream_is_always_admitted() -> None:
    Utilization(max_utilization=0.01, prior=0.5).admit("a", 0.0)
