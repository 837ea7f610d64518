"""The restart policy, over lists of failures with given times."""

import pytest

from cluster.supervision.restart_policy import NEVER_RESTART, Failure, RestartPolicy


def _failures(*runs: tuple[float, float]) -> list[Failure]:
    return [Failure(*run) for run in runs]


def _at_once(count: int) -> list[Failure]:
    return [Failure(float(n), float(n)) for n in range(count)]


def test_the_delay_doubles_up_to_its_maximum() -> None:
    policy = RestartPolicy(first_delay_s=1, factor=2, max_delay_s=10)
    delays = [policy.delay_s(_at_once(count)) for count in range(1, 7)]
    assert delays == [1, 2, 4, 8, 10, 10]


def test_a_thousand_failures_do_not_overflow() -> None:
    assert RestartPolicy().delay_s(_at_once(5000)) == 60


@pytest.mark.parametrize(("seconds", "delay"), [(59.9, 8), (60, 1), (1000, 1)])
def test_a_healthy_run_resets_the_delay(seconds: float, delay: float) -> None:
    failures = [*_at_once(3), Failure(10, 10 + seconds)]
    assert RestartPolicy(healthy_s=60).delay_s(failures) == delay


def test_failures_after_a_healthy_run_count_from_it() -> None:
    failures = [*_at_once(3), *_failures((10, 100), (101, 101))]
    assert RestartPolicy(healthy_s=60).delay_s(failures) == 2


def test_it_gives_up_after_the_maximum_within_the_window() -> None:
    policy = RestartPolicy(max_failures=3, window_s=100)
    assert policy.delay_s(_failures((0, 0), (50, 50))) is not None
    assert policy.delay_s(_failures((0, 0), (50, 50), (100, 100))) is None
    assert policy.delay_s(_failures((0, 0), (50, 50), (101, 101))) is not None


def test_never_restart_gives_up_at_once() -> None:
    assert NEVER_RESTART.delay_s(_at_once(1)) is None
