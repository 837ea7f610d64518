"""A Ray of our own on this machine: token on, files in one folder, gone when we are.

Ray sets its authentication up while it is imported, so this module must be the first to import it.
"""

import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.processes import terminate_marked

RAY_MARKER = "CODECSIGHT_RAY"
"""Environment variable that all processes of one Ray of ours carry."""

OBJECT_STORE_BYTES = 96 * 2**20
"""Slots and answers are small; Ray's own default is 30% of the machine's memory."""


@dataclass(frozen=True, slots=True)
class RayInfo:
    """What a person needs to open the dashboard. `token_file` is None for somebody else's Ray."""

    dashboard: str
    token_file: Path | None


@contextmanager
def private_ray(folder: Path, namespace: str) -> Iterator[RayInfo]:
    """Start Ray under `folder` (a short path: Ray's socket names must stay below 108 bytes).

    Where RAY_ADDRESS is set (KubeRay sets it) that cluster is joined instead.
    """
    joined = "RAY_ADDRESS" in os.environ
    token_file = None if joined else _prepare(folder)
    import ray

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    context = ray.init(namespace=namespace) if joined else _start(folder, namespace)
    for number, handler in handlers.items():  # Ray puts its own in their place
        signal.signal(number, handler)
    try:
        yield RayInfo(dashboard=f"http://{context.dashboard_url}", token_file=token_file)
    finally:
        ray.shutdown()
        if not joined:
            terminate_marked(
                os.environ[RAY_MARKER], RAY_MARKER
            )  # where Ray died, it left its actors


def _start(folder: Path, namespace: str) -> Any:
    import ray

    return ray.init(
        namespace=namespace,
        num_cpus=1,  # our actors ask for no CPU; Ray starts this many idle workers ahead
        include_dashboard=True,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=str(folder / "ray"),
        logging_level="warning",
    )


def _prepare(folder: Path) -> Path:
    """Set the environment that Ray's processes inherit; returns the file of the access token."""
    temporary = folder / "t"  # Ray's helpers forget things in the temporary folder
    temporary.mkdir(parents=True, exist_ok=True)
    path = folder / "ray-token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    os.environ.setdefault(RAY_MARKER, secrets.token_hex(8))
    os.environ.pop("RAY_AUTH_TOKEN", None)
    os.environ |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(path),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "TMPDIR": str(temporary),
        "TORCHINDUCTOR_CACHE_DIR": str(temporary / "inductor"),
    }
    tempfile.tempdir = None  # it remembers what TMPDIR was before; torch leaves things there too
    return path


def start_named_actor(
    kind: type, name: str, *arguments: Any, max_concurrency: int = 1, gpus: int = 0
) -> Any:
    """Start an actor that the dashboard shows as `name` and that comes back whenever it dies;
    `max_concurrency` of a plain class may run at the same time.
    """
    import ray

    options: dict[str, Any] = {"name": name, "num_cpus": 0, "num_gpus": gpus, "max_restarts": -1}
    if max_concurrency > 1:
        options["max_concurrency"] = max_concurrency
    return ray.remote(kind).options(**options).remote(*arguments)
