"""What tests of several rooms need: real footage, and a real S3 server."""

import os
from collections.abc import Iterator
from pathlib import Path

# Before anything imports torch: on few cores, threads that wait for each other are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import structlog

from cluster.s3_server import S3Server
from codecsight.archive.errors import ArchiveError

CLIPS = Path(os.environ.get("CODECSIGHT_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; a test that asks for it is skipped where there is none."""
    if not CLIPS.is_dir():
        pytest.skip(f"no clips at {CLIPS}: set CODECSIGHT_CLIPS to a folder that has them")
    return CLIPS


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server with its keys; a test that asks for it is skipped where none is installed."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        server.start()
    except ArchiveError as error:
        if "no S3 server is installed" in str(error):
            pytest.skip(str(error))
        raise
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A command run inside a test sets logging up for the stream that pytest closes after it."""
    yield
    structlog.reset_defaults()
