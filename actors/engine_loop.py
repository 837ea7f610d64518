"""The thread that owns an engine: it receives calls, steps the engine and publishes the results.

Calls come from an event loop, which never waits for the engine:

    event loop    call(function), submit(function)      queue a command, get an awaitable
    this thread   receive -> schedule, run -> publish   all commands, one step, finished results

Commands that arrive during a step are received before the next one, so their jobs share it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import structlog

from actors.deadlines import (
    ENGINE_CALL_S,
    ENGINE_IDLE_S,
    ENGINE_JOB_S,
    ENGINE_START_S,
    ENGINE_STOP_S,
    within,
)
from codecsight.core.errors import CodecSightError

if TYPE_CHECKING:
    from codecsight.engine.results import JobResult

log = structlog.get_logger()

MAX_COMMANDS = 1024
"""Commands that may wait. Each stream has at most one slot on the way."""
MAX_PAUSE_S = 2.0
"""Longest pause after failed steps. Less than ENGINE_CALL_S, so calls are still served."""


class EngineUnavailableError(CodecSightError):
    """The engine's thread has ended, its queue is full, or its steps fail repeatedly."""


class SteppedEngine(Protocol):
    """What the loop needs of an engine. See `codecsight.engine.engine.Engine`."""

    @property
    def busy(self) -> bool:
        """Whether `step` has something to do or to return."""
        ...

    def step(self) -> list[JobResult]:
        """Compute one step; the results of finished jobs."""
        ...


E = TypeVar("E", bound=SteppedEngine)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class _Command:
    """A function to call with the engine. That of a job returns a ticket: `future` is completed
    with the ticket's result; otherwise with what the function returns.
    """

    function: Callable[[Any], Any]
    is_job: bool
    future: Future[Any]


class _CommandQueue:
    """Bounded queue of commands. `close` ends it for both sides."""

    def __init__(self, max_commands: int) -> None:
        self.closed = False
        self._max_commands = max_commands
        self._commands: deque[_Command] = deque()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        with self._changed:
            return len(self._commands)

    def put(self, command: _Command) -> None:
        """Add a command. Raises EngineUnavailableError if the queue is closed or full."""
        with self._changed:
            if self.closed:
                raise EngineUnavailableError("the engine has stopped")
            if len(self._commands) >= self._max_commands:
                raise EngineUnavailableError(f"{self._max_commands} calls wait for the engine")
            self._commands.append(command)
            self._changed.notify()

    def take(self, timeout_s: float) -> list[_Command]:
        """All waiting commands; waits for the first one, for at most `timeout_s` seconds. None are
        taken once the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._commands or self.closed, timeout_s)
            return [] if self.closed else self._take_all()

    def close(self) -> None:
        """Accept no more commands."""
        with self._changed:
            self.closed = True
            self._changed.notify()

    def drain(self) -> list[_Command]:
        """Close the queue and return the commands that still waited."""
        self.close()
        with self._changed:
            return self._take_all()

    def _take_all(self) -> list[_Command]:
        commands = list(self._commands)
        self._commands.clear()
        return commands


class EngineLoop(Generic[E]):
    """Runs an engine in a thread of its own; `call`, `submit` and `result` serve an event loop.

    `build` is called in the thread too. The constructor waits for it, and raises its error.
    """

    def __init__(self, build: Callable[[], E], max_commands: int = MAX_COMMANDS) -> None:
        self._queue = _CommandQueue(max_commands)
        self._jobs: dict[int, Future[JobResult]] = {}
        self._failed_steps = 0
        self._stopping = threading.Event()
        built: Future[E] = Future()
        self._thread = threading.Thread(
            target=self._main, args=(build, built), name="engine", daemon=True
        )
        self._thread.start()
        self.engine = built.result(ENGINE_START_S)

    # Called on the event loop

    async def call(self, function: Callable[[E], T]) -> T:
        """Call `function` with the engine between two steps; returns its result.

        Raises its error, DeadlineError or EngineUnavailableError. A call that has not begun by its
        deadline is never made.
        """
        return await within(ENGINE_CALL_S, self._put(function, is_job=False), "the engine")

    def submit(self, function: Callable[[E], int]) -> Awaitable[JobResult]:
        """Queue `function`, which submits a job and returns its ticket; see `result`. Functions are
        called in the order of `submit` and `call`. Raises EngineUnavailableError.
        """
        return self._put(function, is_job=True)

    async def result(self, job: Awaitable[JobResult]) -> JobResult:
        """Wait for the result of a submitted job. Raises its error or DeadlineError."""
        return await within(ENGINE_JOB_S, job, "the engine")

    def stop(self) -> None:
        """Finish the running step and end the thread. Calls that wait fail with
        EngineUnavailableError. Blocks.
        """
        self._queue.close()
        self._stopping.set()
        self._thread.join(ENGINE_STOP_S)

    def _put(self, function: Callable[[E], Any], *, is_job: bool) -> asyncio.Future[Any]:
        command = _Command(function, is_job, Future())
        self._queue.put(command)
        return asyncio.wrap_future(command.future)  # completed with call_soon_threadsafe

    # Called on the engine's thread

    def _main(self, build: Callable[[], E], built: Future[E]) -> None:
        try:
            engine = build()
        except BaseException as error:  # noqa: BLE001 - the constructor raises it
            built.set_exception(error)
            return
        built.set_result(engine)
        try:
            self._run(engine)
        finally:
            self._fail_all()

    def _run(self, engine: E) -> None:
        while True:
            commands = self._receive(engine)
            if self._queue.closed:
                return
            for command in commands:
                self._execute(engine, command)
            for result in self._step(engine):
                self._publish(result)

    def _receive(self, engine: E) -> list[_Command]:
        """The commands that wait. Waits for one only while the engine has nothing to do."""
        self._stopping.wait(self._pause_s())
        return self._queue.take(0 if engine.busy else ENGINE_IDLE_S)

    def _execute(self, engine: E, command: _Command) -> None:
        future = command.future
        if not future.set_running_or_notify_cancel():
            return  # its caller waits no longer
        try:
            value = command.function(engine)
        except Exception as error:  # noqa: BLE001 - the caller's, who handles it
            future.set_exception(error)
            return
        if command.is_job:
            self._jobs[value] = future
        else:
            future.set_result(value)

    def _step(self, engine: E) -> list[JobResult]:
        """Run one step. The step after a failed one returns the errors of the streams in it; if
        that fails too, all jobs fail, and steps are repeated with pauses.
        """
        if not engine.busy:
            # Every submitted job has a result; only a bug leaves one without, and its caller must
            # not wait for ever.
            self._fail_jobs("the engine has lost a job")
            return []
        try:
            results = engine.step()
        except Exception as error:
            self._failed_steps += 1
            log.exception("engine step failed", failed_steps=self._failed_steps)
            if self._failed_steps > 1:
                self._fail_jobs(f"steps of the engine fail: {error}")
            return []
        self._failed_steps = 0
        return results

    def _pause_s(self) -> float:
        """Seconds before the next step: none after the first failure, whose errors it returns."""
        repeated = self._failed_steps - 1
        return min(0.05 * 2.0 ** min(repeated, 10), MAX_PAUSE_S) if repeated > 0 else 0.0

    def _publish(self, result: JobResult) -> None:
        future = self._jobs.pop(result.ticket, None)
        if future is None:
            return  # it has failed before, with all jobs
        if result.error is not None:
            future.set_exception(result.error)
        else:
            future.set_result(result)

    def _fail_jobs(self, reason: str) -> None:
        jobs, self._jobs = self._jobs, {}
        for future in jobs.values():
            future.set_exception(EngineUnavailableError(reason))

    def _fail_all(self) -> None:
        """Fail every call that waits; later ones are refused."""
        waiting = self._queue.drain()
        self._fail_jobs("the engine has stopped")
        for command in waiting:
            if command.future.set_running_or_notify_cancel():
                command.future.set_exception(EngineUnavailableError("the engine has stopped"))
