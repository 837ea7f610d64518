"""GatewayActor: a worker that hangs delays only its own streams."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIO = """
import sys
from pathlib import Path
from cluster.private_ray import private_ray

with private_ray(Path(sys.argv[1]), "test"):
    from tests.actors.hung_worker import run
    run(sys.argv[2])
"""


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for Ray: the paths of its sockets have a limit."""
    path = Path(tempfile.mkdtemp(prefix="cs-t-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.ray
def test_a_hung_worker_delays_neither_renewals_nor_the_calls_of_others(
    folder: Path, short_folder: Path
) -> None:
    process = subprocess.run(
        [sys.executable, "-c", SCENARIO, short_folder, folder],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=280,
        check=False,
    )
    assert process.returncode == 0, process.stdout.decode(errors="replace")
