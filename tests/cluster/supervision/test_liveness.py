"""LivenessRule: traces of silence and CPU time, and what they mean."""

import os

import pytest

from cluster.supervision.liveness import CpuObserver, LivenessRule, cpu_seconds

RULE = LivenessRule(frozen_s=4, silence_s=60)


@pytest.mark.parametrize(
    ("silent_s", "still_s", "fault"),
    [
        (3.9, 100, ""),
        (4.0, 4.0, "frozen: neither a sign of life nor CPU time for 4 s"),
        (59, 3.9, ""),  # it computes
        (61, 0, "no sign of life for 60 s"),
        (0, 1000, ""),  # it idles, and says so
    ],
)
def test_a_process_is_frozen_when_silence_and_cpu_time_both_say_so(
    silent_s: float, still_s: float, fault: str
) -> None:
    assert RULE.fault(silent_s, still_s) == fault


def test_a_rule_without_bounds_never_fails() -> None:
    assert LivenessRule().fault(1e9, 1e9) == ""


def observed(spent: list[tuple[float, float | None]], max_poll_s: float = 1.5) -> list[float]:
    cpu = CpuObserver(max_poll_s)
    return [cpu.still_s(seconds, now) for now, seconds in spent]


def test_cpu_time_that_moves_is_never_still() -> None:
    assert observed([(100 + i, 0.01 * i) for i in range(9)]) == [0] * 9


def test_stillness_counts_from_the_first_poll_without_progress() -> None:
    assert observed([(100, 5.0), (101, 5.0), (102, 5.0), (103, 5.1), (104, 5.1)]) == [0, 1, 2, 0, 1]


def test_a_machine_that_was_suspended_starts_anew() -> None:
    assert observed([(100, 5.0), (101, 5.0), (161, 5.0), (162, 5.0)]) == [0, 1, 0, 1]


def test_an_unknown_cpu_time_counts_as_progress() -> None:
    assert observed([(100, None), (101, None), (102, 5.0), (103, 5.0)]) == [0, 0, 0, 1]


def test_the_cpu_time_of_a_process_grows_and_a_missing_one_has_none() -> None:
    before = cpu_seconds(os.getpid())
    assert before is not None
    while cpu_seconds(os.getpid()) == before:
        sum(range(10_000))
    assert cpu_seconds(2**22 + 1) is None
