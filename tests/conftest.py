"""Where the real footage is."""

import os
from pathlib import Path

import pytest

CLIPS = Path(os.environ.get("CODECSIGHT_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real clips; a test that asks for it is skipped where there is none."""
    if not CLIPS.is_dir():
        pytest.skip(f"no clips at {CLIPS}: set CODECSIGHT_CLIPS to a folder that has them")
    return CLIPS
