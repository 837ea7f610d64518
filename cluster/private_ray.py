"""A private Ray cluster on this machine, with token authentication and its files in one folder.

Ray sets up its authentication on import, so this module must be the first to import it.
"""

import contextlib
import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster.ray_logs import forward_actor_logs
from cluster.supervision.marked_processes import terminate_marked
from codecsight.core.stop_signals import STOP_SIGNALS

RAY_MARKER = "CODECSIGHT_RAY"
"""Environment variable set in every process of one private Ray."""

GCS_RECONNECT_S = 5
"""Ray's processes end this long after they lost Ray's control store (GCS); its default is 60 s. One
that dies does not come back: the supervisor starts all of Ray again.
"""
OBJECT_STORE_BYTES = 96 * 2**20
"""Slots and answers are small; Ray's default is 30% of the machine's memory."""


@dataclass(frozen=True, slots=True)
class RayInfo:
    """Access to the dashboard: its address, empty without one. `token_file` is None if an existing
    cluster was joined.
    """

    dashboard: str
    token_file: Path | None


@contextmanager
def private_ray(folder: Path, namespace: str, *, dashboard: bool = True) -> Iterator[RayInfo]:
    """Start Ray under `folder`, a short path: socket paths are limited to 107 bytes.

    The `dashboard` takes ten processes and 200 MB.

    If RAY_ADDRESS is set, as by KubeRay, join that cluster instead.
    """
    joined = "RAY_ADDRESS" in os.environ
    token_file = None if joined else _prepare(folder)
    import ray

    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    context = ray.init(namespace=namespace) if joined else _start(folder, namespace, dashboard)
    forward_actor_logs()
    for number, handler in handlers.items():  # ray.init replaces them
        signal.signal(number, handler)
    try:
        address = f"http://{context.dashboard_url}" if context.dashboard_url else ""
        yield RayInfo(dashboard=address, token_file=token_file)
    finally:
        ray.shutdown()
        if not joined:
            # If Ray crashed, its actors are still running.
            terminate_marked(os.environ[RAY_MARKER], RAY_MARKER)


def _start(folder: Path, namespace: str, dashboard: bool) -> Any:
    import ray

    return ray.init(
        namespace=namespace,
        num_cpus=1,  # Ray prestarts one worker per CPU, and our actors request none
        include_dashboard=dashboard,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=str(folder / "ray"),
        logging_level="warning",
    )


def _prepare(folder: Path) -> Path:
    """Set the environment that Ray's processes inherit; return the path of the access token."""
    temporary = folder / "t"  # Ray leaves files in the temporary folder
    temporary.mkdir(parents=True, exist_ok=True)
    path = folder / "ray-token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    os.environ.setdefault(RAY_MARKER, secrets.token_hex(8))
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(GCS_RECONNECT_S))
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(path),
        # All of Ray's servers then listen on loopback only, among them its Prometheus targets,
        # which ask for no token. It is Ray's default on systems where it runs on one node only.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "TMPDIR": str(temporary),
        "TORCHINDUCTOR_CACHE_DIR": str(temporary / "inductor"),
    }
    tempfile.tempdir = None  # drop the cached TMPDIR; torch leaves files there too
    return path


class RayDaemons:
    """The processes of Ray that it can't do without: its control store (GCS) and its node manager.

    Ray itself takes up to a minute to notice that one has died, and none comes back alone.
    """

    NAMES = ("gcs_server", "raylet")

    def __init__(self) -> None:
        children = psutil.Process().children(recursive=True)
        named = ((process, _name(process)) for process in children)
        self._daemons = [(process, name) for process, name in named if name in self.NAMES]

    def dead(self) -> str:
        """The name of one that no longer runs; empty if none, and for a cluster that was joined."""
        return next((name for process, name in self._daemons if not _name(process)), "")


def _name(process: psutil.Process) -> str:
    """The name of a process's program; empty if it has ended."""
    with contextlib.suppress(psutil.Error):
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return process.name()
    return ""


def start_named_actor(
    kind: type, name: str, *arguments: Any, max_concurrency: int = 1, gpus: int = 0
) -> Any:
    """Start an actor that the dashboard shows as `name` and that Ray restarts whenever it dies.

    Up to `max_concurrency` calls of a class without async methods run at the same time.
    """
    import ray

    options: dict[str, Any] = {"name": name, "num_cpus": 0, "num_gpus": gpus, "max_restarts": -1}
    if max_concurrency > 1:
        options["max_concurrency"] = max_concurrency
    return ray.remote(kind).options(**options).remote(*arguments)
