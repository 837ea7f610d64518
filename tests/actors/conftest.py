"""Fixtures for workers in this process."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from codecsight.models.tiny import save_random_model
from tests.actors.local_worker import workers


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def _stopped_workers() -> Iterator[None]:
    """End the threads of the test's workers."""
    yield
    while workers:
        asyncio.run(workers.pop().stop())
