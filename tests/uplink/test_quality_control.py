"""QualityControl: down while behind, up again in steps, and slowly where a level was too much."""

from itertools import pairwise

from codecsight.uplink.quality_control import LEVELS, QualityControl


def trace(control: QualityControl, lags: list[float], start: float = 0.0) -> list[int]:
    """The quality after each of the lags, one a second."""
    found = []
    for second, lag_s in enumerate(lags):
        control.observe(lag_s, start + second)
        found.append(control.quality)
    return found


def test_it_goes_down_while_behind_and_no_lower_than_the_last_level() -> None:
    assert trace(QualityControl(), [5.0] * 14) == [75] * 3 + [60] * 3 + [45] * 3 + [30] * 5


def test_a_stream_that_is_current_keeps_its_quality() -> None:
    assert set(trace(QualityControl(), [0.1, 1.0, 2.4] * 20)) == {90}


def test_eight_seconds_after_a_recovery_it_is_back() -> None:
    control = QualityControl()
    trace(control, [5.0] * 14)
    assert trace(control, [0.1] * 10, start=14)[-2:] == [90, 90]


def test_a_level_that_was_too_much_is_tried_again_later_and_later() -> None:
    control, raised, now = QualityControl(), list[float](), 0.0
    trace(control, [5.0, 5.0])
    while len(raised) < 4:
        now += 1
        before = control.quality
        control.observe(3.0 if before == LEVELS[0] else 1.0, 10 + now)
        if control.quality > before:
            raised.append(now)
    gaps = [later - earlier for earlier, later in pairwise(raised)]
    assert gaps == sorted(gaps)
    assert gaps[-1] > gaps[0]
