"""One run of a supervised process."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from types import TracebackType
from typing import IO, Self

import structlog

from cluster.supervision.process_spec import Launch, ProcessSpec, StopBy

log = structlog.get_logger()

KILL_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 2.0


class ChildProcess:
    """A running program in its own session and process group; a context manager that stops it.

    Signals of a terminal do not reach it, so that only its supervisor decides about its end. Its
    standard input closes when this process dies. Raises OSError if it can't be started.
    """

    def __init__(self, spec: ProcessSpec, launch: Launch) -> None:
        self._spec = spec
        self._last_line: float | None = None
        self._started = time.monotonic()
        self._process = _start(spec, launch)
        self._reader = threading.Thread(target=self._read, name=f"read {spec.name}", daemon=True)

    def __enter__(self) -> Self:
        try:
            if self._process.stdout is not None:
                self._reader.start()
        except RuntimeError:  # out of threads
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # of unwritten input
                self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The process id, which is also the process group's id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code (-N: killed by signal N), or None while it runs.

        When it is returned, the output of the process has been read.
        """
        code = self._process.poll()
        if code is not None and self._reader.is_alive():
            self._reader.join(READ_TIMEOUT_S)
        return code

    def silent_s(self) -> float:
        """Seconds since its last line of output or, before the first, since its start."""
        return time.monotonic() - (self._last_line or self._started)

    @property
    def has_written(self) -> bool:
        """Whether it has written a line."""
        return self._last_line is not None

    def reset_silence(self) -> None:
        """Count its silence from now: nobody could read its output until now."""
        self._started = time.monotonic()
        if self._last_line is not None:
            self._last_line = self._started

    def kill(self) -> None:
        """Kill the process and its group."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        try:
            self._process.wait(KILL_TIMEOUT_S)
        except subprocess.TimeoutExpired:  # the kernel is waiting for a device
            log.error("process can't be killed", child=self._spec.name, pid=self.pid)

    def _stop(self) -> None:
        """Request the end, and kill the process if it does not end in time."""
        if self._process.poll() is not None:
            return
        if self._spec.stop_by is StopBy.SIGTERM:
            self._process.terminate()
        elif self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(self._spec.stop_timeout_s)
        except subprocess.TimeoutExpired:
            log.error("process did not end in time: killed", child=self._spec.name)
            self.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - the thread starts only with it
        for line in self._process.stdout:
            self._last_line = time.monotonic()
            if self._spec.on_line is not None:
                self._spec.on_line(line)


def _start(spec: ProcessSpec, launch: Launch) -> subprocess.Popen[bytes]:
    """Start the program and write its first input."""
    inherited = {name: value for name, value in os.environ.items() if name not in spec.withheld}
    reads_lines = spec.on_line is not None or spec.silence_s is not None
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(spec.log.open("ab")) if spec.log else None
        process = subprocess.Popen(
            spec.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if reads_lines else output,
            stderr=output,
            env={**inherited, **spec.environment, **launch.environment},
            start_new_session=True,
        )
    if launch.first_input:
        _write(process.stdin, launch.first_input)
    return process


def _write(stdin: IO[bytes] | None, text: str) -> None:
    assert stdin is not None  # noqa: S101 - opened with PIPE
    with contextlib.suppress(BrokenPipeError):  # it has ended already, which its exit code says
        stdin.write(text.encode())
        stdin.flush()
