"""What the actors' modules load: every process with a handle of an actor imports its module."""

import subprocess
import sys

import pytest

MODULES = {
    "actors.directory_actor": ("torch", "numba", "av"),
    "actors.gateway_actor": ("torch", "numba", "av"),
    "actors.gpu_worker": ("torch", "numba", "av"),
    "actors.uplink_actor": ("torch", "numba", "av"),
    "actors.archiver_actor": ("torch", "numba", "av"),
    "actors.camera_actor": ("torch", "numba", "av"),
}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    assert not set(MODULES[module]) & set(run.stdout.split())
