"""Fixtures for tests of several packages: real footage, and a real S3 server."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported: on few cores one thread is faster than several that synchronise.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import structlog

from cluster.s3_server import S3Server
from codecsight.archive.errors import ArchiveError

# nohup makes its children ignore SIGHUP, and they would pass that on to the processes under test.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

CLIPS = Path(os.environ.get("CODECSIGHT_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; skips the test if there is none."""
    if not CLIPS.is_dir():
        pytest.skip(f"no clips at {CLIPS}: set CODECSIGHT_CLIPS to a folder that has them")
    return CLIPS


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server and its keys; skips the test if none is installed."""
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
def _reset_logging() -> Iterator[None]:
    """Undo a command's logging setup: it writes to a stream that pytest closes after the test."""
    yield
    structlog.reset_defaults()
