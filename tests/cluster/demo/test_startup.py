"""The start of the demo: it goes on while there is progress, however long it takes."""

import pytest

from cluster.demo import startup
from cluster.demo.startup import StartUp, steps_of


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(startup, "time", clock)
    return clock


def test_a_step_counts_once_and_only_if_it_is_expected() -> None:
    start = StartUp(("Ray", "model"))
    assert start.mark(["model", "camera of somebody else"]) == ["model"]
    assert start.mark(["model"]) == []
    assert start.waiting == ["Ray"]


def test_a_slow_start_goes_on_while_steps_end(clock: Clock) -> None:
    steps = tuple(f"step {number}" for number in range(10))
    start = StartUp(steps)
    for step in steps[:-1]:
        clock.now += 290
        assert not start.stalled
        start.mark([step])
    assert start.seconds == 9 * 290
    clock.now += 301
    assert start.stalled
    start.mark(steps)
    assert not start.stalled


def test_steps_name_every_camera() -> None:
    steps = steps_of(["demo.gate", "demo.yard"])
    assert len(steps) == 8
    assert steps[-4:] == (
        "camera gate",
        "camera yard",
        "first answer for gate",
        "first answer for yard",
    )
