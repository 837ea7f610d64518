"""EngineLoop: failures never hang callers, nor become a busy loop; shutdown is clean."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from actors.engine_loop import EngineLoop, EngineUnavailableError
from codecsight.engine.results import JobResult
from tests.actors.gate import Gate


class Jobs:
    """An engine that finishes all its jobs in one step. `fail` is called before each step."""

    def __init__(self) -> None:
        self.waiting: list[int] = []
        self.steps = 0
        self.fail: Callable[[], None] = lambda: None
        self._tickets = 0

    @property
    def busy(self) -> bool:
        return bool(self.waiting)

    def step(self) -> list[JobResult]:
        self.steps += 1
        self.fail()
        results = [JobResult(ticket, "yard.gate") for ticket in self.waiting]
        self.waiting = []
        return results

    def submit(self) -> int:
        self._tickets += 1
        self.waiting.append(self._tickets)
        return self._tickets


@pytest.fixture
def loop() -> Iterator[EngineLoop[Jobs]]:
    loop = EngineLoop(Jobs, max_commands=3)
    yield loop
    loop.stop()
    assert not loop._thread.is_alive()


def _submit(loop: EngineLoop[Jobs]) -> Awaitable[JobResult]:
    return loop.submit(lambda jobs: jobs.submit())


def _error() -> None:
    raise RuntimeError("the device was lost")


def test_an_error_of_a_call_reaches_its_caller_and_the_loop_goes_on(loop: EngineLoop[Jobs]) -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await loop.call(lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await loop.result(loop.submit(lambda _: 1 // 0))
        assert (await loop.result(_submit(loop))).ticket == 1

    asyncio.run(run())


def test_an_error_at_the_start_reaches_the_constructor() -> None:
    def fail() -> Jobs:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        EngineLoop(fail)


def test_calls_and_jobs_run_in_their_order(loop: EngineLoop[Jobs]) -> None:
    async def run() -> None:
        job = _submit(loop)
        assert await loop.call(lambda jobs: jobs._tickets) == 1
        await loop.result(job)

    asyncio.run(run())


def test_jobs_fail_while_every_step_fails_and_succeed_later(loop: EngineLoop[Jobs]) -> None:
    async def run() -> None:
        loop.engine.fail = _error
        with pytest.raises(EngineUnavailableError, match="the device was lost"):
            await loop.result(_submit(loop))
        assert await loop.call(lambda jobs: jobs.waiting) == [1]  # calls are still served
        loop.engine.fail = lambda: None
        assert (await loop.result(_submit(loop))).ticket == 2

    asyncio.run(run())


def test_steps_that_fail_are_repeated_with_growing_pauses(
    loop: EngineLoop[Jobs], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    enough = threading.Event()

    def wait(seconds: float) -> bool:  # instead of the pause itself
        pauses.append(seconds)
        if len(pauses) >= 12:
            enough.set()
        return False

    monkeypatch.setattr(loop._stopping, "wait", wait)
    loop.engine.fail = _error

    async def run() -> None:
        with pytest.raises(EngineUnavailableError):
            await loop.result(_submit(loop))

    asyncio.run(run())
    assert enough.wait(60)
    loop.engine.fail = lambda: None
    failed = [pause for pause in pauses if pause > 0]
    assert failed[:6] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    assert max(failed) == 2.0


def test_a_lost_job_fails(loop: EngineLoop[Jobs]) -> None:
    async def run() -> None:
        with pytest.raises(EngineUnavailableError, match="lost a job"):
            await loop.result(loop.submit(lambda _: 77))

    asyncio.run(run())


def test_a_full_queue_refuses_a_call_at_once(loop: EngineLoop[Jobs]) -> None:
    gate = Gate()
    loop.engine.fail = gate.enter

    async def run() -> None:
        jobs = [_submit(loop)]
        await gate.entered()
        jobs += [_submit(loop) for _ in range(3)]
        with pytest.raises(EngineUnavailableError, match="3 calls wait"):
            _submit(loop)
        gate.open()
        assert [(await loop.result(job)).ticket for job in jobs] == [1, 2, 3, 4]

    asyncio.run(run())


def test_stop_ends_the_running_step_and_fails_everything_that_waits(
    loop: EngineLoop[Jobs],
) -> None:
    gate = Gate()
    loop.engine.fail = gate.enter

    async def run() -> None:
        running = _submit(loop)
        await gate.entered()
        waiting = _submit(loop)
        stop = asyncio.create_task(asyncio.to_thread(loop.stop))
        await asyncio.to_thread(loop._stopping.wait, 60)
        gate.open()
        await stop
        assert (await loop.result(running)).ticket == 1
        with pytest.raises(EngineUnavailableError, match="stopped"):
            await loop.result(waiting)
        with pytest.raises(EngineUnavailableError, match="stopped"):
            await loop.call(lambda jobs: jobs.steps)

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_caller_waits_for_a_thread_that_has_died(loop: EngineLoop[Jobs]) -> None:
    def die() -> None:
        raise SystemExit

    loop.engine.fail = die

    async def run() -> None:
        with pytest.raises(EngineUnavailableError):
            await loop.result(_submit(loop))
        with pytest.raises(EngineUnavailableError):
            await loop.call(lambda jobs: jobs.steps)

    asyncio.run(run())


def test_a_caller_whose_event_loop_has_ended_stops_nothing(loop: EngineLoop[Jobs]) -> None:
    gate = Gate()
    loop.engine.fail = gate.enter

    async def leave() -> None:
        _submit(loop)
        await gate.entered()

    async def come_back() -> None:
        assert (await loop.result(_submit(loop))).ticket == 2

    asyncio.run(leave())
    gate.open()
    asyncio.run(come_back())
