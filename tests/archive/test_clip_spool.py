"""Clips of what is not uploaded yet: waiting, open and unfinished segments in a site's spool."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from codecsight.archive.clip import cut_clip
from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.errors import ArchiveError
from codecsight.archive.upload.uploader import Uploader
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.recording.recorder import Recorder
from tests.small_disk import small_disk

from .conftest import START, RecordVideo


class LiveCamera:
    """A camera that is being recorded into the spool, in segments of 2 s.

    The recorder writes a picture to disk when the next one comes.
    """

    def __init__(self, spool: Path, b_frames: int = 0) -> None:
        self.recorder = Recorder(spool, "cam1", 2.0)
        self._encoder = CameraEncoder(96, 64, 10.0, EncoderProfile(gop=10, b_frames=b_frames))
        self._count = 0
        self.recorder.write(self._encoder.info)

    def record(self, seconds: float) -> None:
        for index in range(self._count, self._count + round(seconds * 10)):
            picture = np.full((64, 96, 3), 90, np.uint8)
            picture[10:30, index % 70 : index % 70 + 20] = 220
            for packet in self._encoder.encode(picture, index / 10, START + index / 10):
                self.recorder.write(packet)
        self._count += round(seconds * 10)


@pytest.fixture
def camera(spool: Path) -> Iterator[LiveCamera]:
    camera = LiveCamera(spool)
    yield camera
    camera.recorder.close()


def count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_open_segment_counts_with_what_it_holds_so_far(
    folder_store: DirectoryStore, spool: Path, camera: LiveCamera, tmp_path: Path, suffix: str
) -> None:
    camera.record(1.5)
    report = cut_clip(folder_store, "cam1", START, START + 60, tmp_path / f"a{suffix}", spool)
    assert count(report.path) == report.packets == 14
    assert report.end == pytest.approx(START + 1.3, abs=0.01)
    [gap] = report.gaps
    assert (gap.start - START, gap.end - START) == pytest.approx((1.4, 60), abs=0.01)
    assert gap.reason == "nothing was recorded"
    camera.record(0.3)
    assert count(cut_clip(folder_store, "cam1", START, START + 60, report.path, spool).path) == 17


def test_uploaded_waiting_and_open_segments_are_joined(
    folder_store: DirectoryStore, spool: Path, camera: LiveCamera, tmp_path: Path
) -> None:
    camera.record(4.0)
    camera.recorder.disconnected()
    camera.recorder.close()
    waiting = tmp_path / "waiting"
    shutil.copytree(spool, waiting)
    Uploader(spool, folder_store).run_once()
    for name in sorted((waiting / "cam1").glob("*"))[-2:]:  # the second segment and its row
        shutil.copy(name, spool / "cam1")
    newest = LiveCamera(spool)
    newest._count = 40  # the camera goes on at 4 s
    newest.record(1.0)
    report = cut_clip(folder_store, "cam1", START, START + 5, tmp_path / "clip.mp4", spool)
    newest.recorder.close()
    assert count(report.path) == 49
    assert len(report.segments) == len(set(report.segments)) == 3
    assert report.gaps == ()


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("tail", [b"", b"\0" * 500, b"\xff" * 500])
def test_a_recording_that_a_killed_process_left_is_exported(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, b_frames: int, tail: bytes
) -> None:
    camera = LiveCamera(spool, b_frames)
    camera.record(1.5)
    left = tmp_path / "left"
    shutil.copytree(spool, left)  # as the disk is when the process is killed now
    camera.recorder.close()
    [part] = (left / "cam1").glob("*.part")
    with part.open("r+b") as file:
        file.truncate(part.stat().st_size - 40)
        file.seek(0, 2)
        file.write(tail)
    clip = tmp_path / "clip.mp4"
    report = cut_clip(folder_store, "cam1", START, START + 2, clip, left)
    found = count(report.path)
    assert 7 <= found < 14
    recovered = Recorder(left, "cam1", 2.0)
    recovered.close()
    assert recovered.stats.recovered == 1
    Uploader(left, folder_store).run_once()
    assert count(cut_clip(folder_store, "cam1", START, START + 2, clip).path) == found


def test_a_segment_that_is_uploaded_meanwhile_is_read_from_the_archive(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(2)
    rows = list((spool / "cam1").glob("*.json"))
    kept = [(row, row.read_bytes()) for row in rows]
    Uploader(spool, folder_store).run_once()
    for row, content in kept:
        row.write_bytes(content)  # the row of a segment whose file is gone
    report = cut_clip(folder_store, "cam1", START, START + 2, tmp_path / "clip.mp4", spool)
    assert count(report.path) == 20


def test_unrecorded_time_is_an_error_that_says_what_there_is(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(2)
    record_video(2, start=START + 600)
    Uploader(spool, folder_store).run_once()
    record_video(2, start=START + 1200)

    def message(start: float, end: float) -> str:
        with pytest.raises(ArchiveError, match=r"nothing was recorded of cam1") as caught:
            cut_clip(folder_store, "cam1", START + start, START + end, tmp_path / "x.mp4", spool)
        return str(caught.value).replace("+00:00", "Z")

    assert "from 2026-11-23T09:00:00Z to 2026-11-23T09:20:02Z" in message(10, 590)
    assert "a gap from 2026-11-23T09:00:02Z to 2026-11-23T09:10:00Z" in message(10, 590)
    assert "a gap from 2026-11-23T09:10:02Z to 2026-11-23T09:20:00Z" in message(700, 800)
    assert "a gap" not in message(1300, 1400)
    assert "a gap" not in message(-100, -50)


def test_a_missing_spool_is_named(folder_store: DirectoryStore, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"spool .*nowhere: no such folder"):
        cut_clip(folder_store, "cam1", START, START + 1, tmp_path / "x.mp4", tmp_path / "nowhere")


def test_a_full_temporary_folder_is_named(
    folder_store: DirectoryStore,
    spool: Path,
    record_video: RecordVideo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record_video(2)
    with small_disk(tmp_path / "full", "64k") as disk:
        (disk / "file").write_bytes(b"x" * (1 << 16))
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with pytest.raises(ArchiveError, match=r"temporary folder .*/full can't be used: No space"):
            cut_clip(folder_store, "cam1", START, START + 2, tmp_path / "x.mp4", spool)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(ArchiveError, match=r"temporary folder .*/gone .*set TMPDIR"):
        cut_clip(folder_store, "cam1", START, START + 2, tmp_path / "x.mp4", spool)


def test_a_full_disk_leaves_no_clip(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(16)
    with small_disk(tmp_path / "full", "12k") as disk:
        (disk / "file").write_bytes(b"x" * 8000)
        with pytest.raises(ArchiveError, match=r"full/clip\.mp4: can't write it: No space left"):
            cut_clip(folder_store, "cam1", START, START + 16, disk / "clip.mp4", spool)
        assert [path.name for path in disk.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["a:b.mp4", "http:x.mkv", "pipe:1.mp4", "%d.MP4", "-o.mkv"])
def test_any_file_name_can_be_written(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path, name: str
) -> None:
    record_video(2)
    report = cut_clip(folder_store, "cam1", START, START + 2, tmp_path / name, spool)
    assert report.path == tmp_path / name
    with av.open(f"file:{report.path}") as container:
        assert sum(1 for _ in container.decode(video=0)) == 20
