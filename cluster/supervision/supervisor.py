"""The supervisor: keeps named child processes running.

with Supervisor() as supervisor:
    supervisor.start(ProcessSpec(name="camera", command=("record", "cam1")))
    ...
    supervisor.status()  # (ProcessStatus(name="camera", state="running", pid=..., ...),)
"""

import signal
import subprocess
import threading
import time
from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, Self

import structlog

from cluster.supervision.child_process import ChildProcess
from cluster.supervision.liveness import MIN_SILENCE_S, CpuObserver, LivenessRule, cpu_seconds
from cluster.supervision.process_spec import ProcessSpec, ProcessState, ProcessStatus
from cluster.supervision.restart_policy import Failure

log = structlog.get_logger()

POLL_S = 0.2
MAX_POLL_S = 1.5
"""A poll that comes this late says nothing of a process's CPU time."""
PAUSE_S = 5.0
"""A poll that comes this late means that this machine or this process was paused."""
CLEAN_UP_TIMEOUT_S = 60.0
"""For killing a process that did not end in time, and for closing its run's resources."""
MAX_FAILURES_KEPT = 1000


class Supervisor:
    """Starts processes, restarts those that fail, and stops them all at the end of its context.

    Each process has a thread of its own: one that is slow to end delays no other.
    """

    def __init__(self) -> None:
        self._processes: dict[str, _Supervised] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, *specs: ProcessSpec) -> None:
        """Start processes and keep them running. Their names must be new, or stopped ones."""
        for spec in specs:
            known = self._processes.get(spec.name)
            if known is not None and not known.stopped:
                raise ValueError(f"process {spec.name} is supervised already")
            self._processes[spec.name] = _Supervised(spec)

    def stop(self, *names: str) -> None:
        """Stop these processes, all at the same time; without names, all processes."""
        chosen = [self._processes[name] for name in names or self._processes]
        for process in chosen:
            process.request_stop()
        for process in chosen:
            process.wait_stopped()

    def status(self) -> tuple[ProcessStatus, ...]:
        """The status of all processes, in the order of their start."""
        return tuple(process.status for process in self._processes.values())


class _End(NamedTuple):
    """The end of one run. `state` is None if the process is to be started again."""

    reason: str
    state: ProcessState | None = None


class _Supervised:
    """One process and the thread that keeps it running."""

    def __init__(self, spec: ProcessSpec) -> None:
        self._spec = spec
        self._stopping = threading.Event()
        self._failures: deque[Failure] = deque(maxlen=MAX_FAILURES_KEPT)
        self.status = ProcessStatus(spec.name, ProcessState.STARTING, time.time())
        self._thread = threading.Thread(target=self._keep_running, name=spec.name, daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()

    def request_stop(self) -> None:
        self._stopping.set()

    def wait_stopped(self) -> None:
        self._thread.join(self._spec.stop_timeout_s + CLEAN_UP_TIMEOUT_S)
        if self._thread.is_alive():
            log.error("process can't be stopped", child=self._spec.name)

    def _keep_running(self) -> None:
        end = self._run()
        while end.state is None and not self._stopping.is_set():
            delay = self._spec.policy.delay_s(self._failures)
            if delay is None:
                end = end._replace(state=ProcessState.FAILED)
                break
            log.error("process ended", child=self._spec.name, reason=end.reason, retry_in_s=delay)
            self._set(ProcessState.WAITING, reason=end.reason, next_attempt=time.time() + delay)
            if self._stopping.wait(delay):
                break
            self._set(ProcessState.STARTING, restarts=self.status.restarts + 1)
            end = self._run()
        self._set(end.state or ProcessState.STOPPED, reason=end.reason)
        if end.state is ProcessState.FAILED:
            log.error("process given up", child=self._spec.name, reason=end.reason)

    def _run(self) -> _End:
        """Run the process once, to its end or until it is stopped."""
        started = time.monotonic()
        try:
            with self._spec.prepare() as launch, ChildProcess(self._spec, launch) as child:
                self._set(ProcessState.RUNNING, pid=child.pid)
                end = self._watch(child)
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            end = _End(f"can't be started: {error}")
        self._failures.append(Failure(started, time.monotonic()))
        return end

    def _watch(self, child: ChildProcess) -> _End:
        polled, cpu = time.monotonic(), CpuObserver(MAX_POLL_S)
        while (code := child.exit_code()) is None:
            if self._stopping.wait(POLL_S):
                return _End("stopped", ProcessState.STOPPED)
            polled, before = time.monotonic(), polled
            if polled - before > PAUSE_S:
                child.reset_silence()
            if reason := self._fault(child, cpu):
                child.kill()
                return _End(reason)
        return self._judge(code)

    def _fault(self, child: ChildProcess, cpu: CpuObserver) -> str:
        """Why the process counts as hung or frozen; empty if it does not."""
        if self._spec.silence_s is None:
            return ""
        rule = LivenessRule(self._spec.frozen_s, self._spec.silence_s)
        if not child.has_written:
            rule = LivenessRule(None, self._spec.start_timeout_s)
        silent_s = child.silent_s()
        spent_s = cpu_seconds(child.pid) if silent_s > MIN_SILENCE_S else None
        return rule.fault(silent_s, cpu.still_s(spent_s, time.monotonic()))

    def _judge(self, code: int) -> _End:
        if code in self._spec.finished_codes:
            return _End("finished", ProcessState.FINISHED)
        reason = _describe(code)
        return _End(reason, ProcessState.FAILED if code in self._spec.fatal_codes else None)

    def _set(self, state: ProcessState, **changes: Any) -> None:
        """Change the status; `pid` and `next_attempt` hold for one state only."""
        changes = {"pid": None, "next_attempt": None, **changes}
        self.status = replace(self.status, state=state, since=time.time(), **changes)


def _describe(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
