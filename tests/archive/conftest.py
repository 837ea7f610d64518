"""Fixtures: the folder store and a real S3 store, a spool, and a recorded test stream."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cluster.s3_server import S3Server
from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.store import ObjectStore
from codecsight.archive.store_factory import open_store
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.recording.recorder import Recorder

START = 1_795_424_400.0
"""2026-11-23 09:00:00 UTC."""

RecordVideo = Callable[..., None]


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind."""
    if request.param == "folder":
        return f"dir:{tmp_path / 'archive'}"
    server: S3Server = request.getfixturevalue("s3")
    return server.url.replace("?", f"/{tmp_path.name}?")


@pytest.fixture
def store(store_url: str, request: pytest.FixtureRequest) -> ObjectStore:
    keys = request.getfixturevalue("s3").keys if store_url.startswith("s3:") else None
    return open_store(store_url, keys)


@pytest.fixture
def folder_store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "archive")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def record_video(spool: Path) -> RecordVideo:
    """Record a moving square at 10 frames per second into the spool, in segments of 2 s."""

    def record(
        seconds: float,
        *,
        start: float = START,
        stream: str = "cam1",
        size: tuple[int, int] = (96, 64),
        max_segment_s: float = 900.0,
        **profile: object,
    ) -> None:
        settings = {"gop": 10, **profile}
        encoder = CameraEncoder(*size, 10.0, EncoderProfile(**settings))  # type: ignore[arg-type]
        recorder = Recorder(spool, stream, 2.0, max_segment_s=max_segment_s)
        recorder.write(encoder.info)
        for index in range(round(seconds * 10)):
            picture = np.full((size[1], size[0], 3), 90, np.uint8)
            picture[10:30, index % 70 : index % 70 + 20] = 220
            for packet in encoder.encode(picture, index / 10, start + index / 10):
                recorder.write(packet)
        for packet in encoder.flush():
            recorder.write(packet)
        recorder.close()

    return record
