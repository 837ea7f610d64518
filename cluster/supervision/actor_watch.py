"""Replaces Ray actors that are frozen: Ray restarts an actor that dies, but not one that hangs.

    watch = ActorWatch({"camera:yard:gate": handle})
    while not stop.wait(2.0):
        watch.poll()  # never waits

Each actor is pinged. One whose process neither replies nor uses CPU time for FROZEN_S is killed,
and Ray starts it again. Actors on other machines are left to their node.
"""

import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from cluster.supervision.liveness import CpuObserver, LivenessRule, cpu_seconds

log = structlog.get_logger()

FROZEN_S = 8.0
MAX_POLL_S = 6.0
RULE = LivenessRule(frozen_s=FROZEN_S)


class _Process(NamedTuple):
    """Where an actor runs."""

    host: str
    pid: int


class ActorWatch:
    """Watches actors by name. Call `poll` every few seconds, at most MAX_POLL_S apart."""

    def __init__(self, actors: Mapping[str, Any]) -> None:
        self._watched = [_Watched(name, actor) for name, actor in actors.items()]

    def poll(self) -> None:
        """Collect replies, send the next pings, and kill what is frozen. Does not wait."""
        now = time.monotonic()
        for one in self._watched:
            one.poll(now)


class _Watched:
    """One actor. Its first reply says in which process it runs; before it, nothing is judged."""

    def __init__(self, name: str, actor: Any) -> None:
        self._name, self._actor = name, actor
        self._process: _Process | None = None
        self._ping: Any = None
        self._start(time.monotonic())

    def _start(self, now: float) -> None:
        self._replied_at, self._cpu = now, CpuObserver(MAX_POLL_S)

    def poll(self, now: float) -> None:
        import ray
        from ray.exceptions import RayError

        if self._ping is not None and ray.wait([self._ping], timeout=0)[0]:
            try:
                self._process = _Process(*ray.get(self._ping, timeout=0))
            except RayError:  # Ray is restarting it
                self._process = None
            self._ping, self._replied_at = None, now
        if self._ping is None:
            self._ping = self._actor.__ray_call__.remote(_where)
        if self._process is not None and self._process.host == socket.gethostname():
            self._judge(self._process.pid, now)

    def _judge(self, pid: int, now: float) -> None:
        still_s = self._cpu.still_s(cpu_seconds(pid), now)
        reason = RULE.fault(now - self._replied_at, still_s)
        if not reason:
            return
        log.error("actor killed, to be started again", actor=self._name, pid=pid, reason=reason)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            log.warning("the actor had ended", actor=self._name, pid=pid)
        self._process = None
        self._start(now)


def _where(_: Any) -> tuple[str, int]:
    """Runs in the actor's process."""
    return socket.gethostname(), os.getpid()
