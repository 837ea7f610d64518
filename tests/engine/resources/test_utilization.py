"""Time is written down: nothing here waits."""

import pytest

from codecsight.engine import DeviceBusy
from codecsight.engine.resources.utilization import HORIZON_S, Utilization


def busy(load: Utilization, share: float, until: float, every: float = 0.1) -> None:
    """At work for that share of the horizon before `until`."""
    for number in range(round(HORIZON_S / every)):
        start = until - HORIZON_S + number * every
        load.record_busy(start, start + share * every)


def test_streams_are_let_in_while_there_is_time_for_one_more() -> None:
    load = Utilization(max_utilization=0.9)
    for stream in "abcd":
        load.admit(stream, 0.0)
    busy(load, 0.6, until=20.0)
    load.admit("e", 20.0)  # five would take 75%
    busy(load, 0.74, until=40.0)
    load.admit("f", 40.0)  # six 89%
    busy(load, 0.9, until=60.0)
    with pytest.raises(DeviceBusy, match=r"stream 'g': 6 streams .* for 90%") as busy_:
        load.admit("g", 60.0)
    assert (busy_.value.streams, busy_.value.utilization) == (6, pytest.approx(0.9))


def test_who_leaves_makes_room() -> None:
    load = Utilization(max_utilization=0.9)
    for stream in "ab":
        load.admit(stream, 0.0)
    busy(load, 0.8, until=20.0)
    with pytest.raises(DeviceBusy):
        load.admit("c", 20.0)
    load.remove("b")
    busy(load, 0.4, until=40.0)
    load.admit("c", 40.0)


def test_newcomers_count_by_how_long_they_were_there() -> None:
    """A crowd that arrives within a moment isn't let in whole because it has cost nothing yet."""
    load = Utilization(max_utilization=0.9)
    for number in range(4):
        load.admit(str(number), 0.0)
    for number in range(4):  # one second, of which each of them cost a tenth
        load.record_busy(number / 4, number / 4 + 0.1)
    assert load.expected(1.0) == pytest.approx(0.5)
    for number in range(4, 9):
        load.admit(str(number), 1.0)
    with pytest.raises(DeviceBusy):
        load.admit("9", 1.0)


def test_a_crowd_of_which_nothing_was_seen_is_let_in_by_what_was_tried_out() -> None:
    load = Utilization(max_utilization=0.9, prior=0.1)
    for number in range(9):
        load.admit(str(number), 0.0)
    with pytest.raises(DeviceBusy, match=r"9 streams keep .* for 0% .* 100% are expected"):
        load.admit("9", 0.0)


def test_the_first_slots_of_a_crowd_are_not_taken_for_its_pace() -> None:
    """Each sends a slot a second, which takes 5 ms, the first as soon as it is there."""
    load = Utilization(max_utilization=0.9, prior=0.01, slot_interval_s=1.0)
    for number in range(80):
        now = number / 100
        load.admit(str(number), now)
        load.record_busy(now, now + 0.005)
    assert load.expected(0.8) == pytest.approx(0.79, abs=0.01)


def test_as_streams_settle_what_they_cost_takes_the_place_of_what_was_tried_out() -> None:
    load = Utilization(max_utilization=0.9, prior=0.1, settling_s=20.0)
    for number in range(9):
        load.admit(str(number), 0.0)
    busy(load, 0.36, until=10.0)  # each of the nine costs 4%, but has half of its time to come
    assert load.expected(10.0) == pytest.approx(4.5 * 0.04 + 5.5 * 0.1)
    busy(load, 0.36, until=20.0)
    assert load.expected(20.0) == pytest.approx(0.36 + 0.1)
    for number in range(9, 14):
        load.admit(str(number), 20.0)
    with pytest.raises(DeviceBusy):
        load.admit("14", 20.0)


def test_streams_that_cost_more_than_was_tried_out_count_by_what_they_cost() -> None:
    load = Utilization(max_utilization=0.9, prior=0.1)
    for number in range(3):
        load.admit(str(number), 0.0)
    busy(load, 0.75, until=10.0)
    assert load.expected(10.0) == pytest.approx(1.0)
    with pytest.raises(DeviceBusy):
        load.admit("3", 10.0)


def test_work_long_past_is_forgotten() -> None:
    load = Utilization(max_utilization=0.9)
    busy(load, 1.0, until=10.0)
    assert load.share(10.0) == pytest.approx(1.0)
    assert load.share(15.0) == pytest.approx(0.5)
    assert load.share(40.0) == 0.0


def test_an_empty_device_takes_anyone() -> None:
    Utilization(max_utilization=0.01, prior=0.5).admit("a", 0.0)
