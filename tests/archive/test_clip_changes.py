"""Clips across changes of a camera's picture size, encoder settings and codec, and of its times."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from codecsight.archive.clip import ClipReport, cut_clip
from codecsight.archive.clip_plan import distinct_times
from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.index import Index
from codecsight.archive.upload.uploader import Uploader
from codecsight.core.orientation import Orientation
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.recording.recorder import Recorder

from .conftest import START, RecordVideo

Shown = list[tuple[int, int, str]]
CONTAINERS = pytest.mark.parametrize("suffix", [".mp4", ".mkv"])


def shown(path: Path) -> Shown:
    """Size and content hash of every decoded picture, in presentation order."""
    with av.open(str(path)) as container:
        return [
            (picture.width, picture.height, hashlib.sha256(bytes(picture.planes[0])).hexdigest())
            for picture in container.decode(video=0)
        ]


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(picture.time or 0) for picture in container.decode(video=0)]


def archive(spool: Path, store: DirectoryStore) -> Shown:
    """Upload what is recorded of cam1; the pictures of its segments, decoded one by one."""
    Uploader(spool, store).run_once()
    rows = Index(store).between("cam1", START, START + 1000).segments
    return [picture for row in rows for picture in shown(store.local_path(row.key))]


def clip(store: DirectoryStore, out: Path, seconds: float) -> ClipReport:
    return cut_clip(store, "cam1", START, START + seconds, out)


def items(
    seconds: float, start: float, size: tuple[int, int] = (96, 64), **profile: object
) -> list[StreamInfo | Packet]:
    """A connection of a camera with 10 frames per second."""
    encoder = CameraEncoder(*size, 10.0, EncoderProfile(gop=10, **profile))  # type: ignore[arg-type]
    packets: list[Packet] = []
    for index in range(round(seconds * 10)):
        picture = np.full((size[1], size[0], 3), 90, np.uint8)
        picture[10:30, index % 70 : index % 70 + 20] = 220
        packets += encoder.encode(picture, index / 10, start + index / 10)
    return [encoder.info, *packets, *encoder.flush()]


def record(spool: Path, *connections: list[StreamInfo | Packet]) -> None:
    recorder = Recorder(spool, "cam1", 60.0)
    for item in (item for connection in connections for item in connection):
        recorder.write(item)
    recorder.close()


@CONTAINERS
@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4", "mjpeg"])
def test_a_clip_runs_across_changes_of_the_picture_size(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    small, large = items(3, START, codec=codec), items(2, START + 3, (128, 96), codec=codec)
    record(spool, small, large, items(2, START + 5, codec=codec))
    expected = archive(spool, folder_store)
    report = clip(folder_store, tmp_path / f"clip{suffix}", 7)
    assert report.path == tmp_path / f"clip{suffix}"
    assert report.gaps == report.more_paths == ()
    found = shown(report.path)
    assert [picture[:2] for picture in found] == [(96, 64)] * 30 + [(128, 96)] * 20 + [
        (96, 64)
    ] * 20
    assert found == expected
    assert times(report.path)[-1] == pytest.approx(6.9, abs=0.01)


@CONTAINERS
def test_a_clip_runs_across_changes_of_encoder_settings_and_missing_headers(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, suffix: str
) -> None:
    first, second = items(2, START), items(2, START + 2, b_frames=2)
    info, key, *rest = items(2, START + 4)
    assert isinstance(info, StreamInfo)
    assert isinstance(key, Packet)
    in_band = [replace(info, extradata=b""), replace(key, data=info.extradata + key.data), *rest]
    record(spool, first, second, in_band)
    expected = archive(spool, folder_store)
    report = clip(folder_store, tmp_path / f"clip{suffix}", 6)
    assert len(expected) == 60
    assert shown(report.path) == expected


@CONTAINERS
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_size_that_changes_within_a_connection_is_kept(
    folder_store: DirectoryStore,
    spool: Path,
    tmp_path: Path,
    codec: str,
    suffix: str,
) -> None:
    """The container still states the size before, and the parameter sets are in the packets."""
    encoder = CameraEncoder(128, 96, 10.0, EncoderProfile(gop=10, codec=codec))  # type: ignore[arg-type]
    first = items(2, START, codec=codec)
    larger: list[Packet] = []
    for index in range(20):
        picture = np.full((96, 128, 3), 60 + index, np.uint8)
        larger += encoder.encode(picture, 2 + index / 10, START + 2 + index / 10)
    larger[0] = replace(larger[0], data=encoder.info.extradata + larger[0].data)
    record(spool, [*first, *larger])
    expected = archive(spool, folder_store)
    report = clip(folder_store, tmp_path / f"clip{suffix}", 4)
    assert [picture[:2] for picture in expected] == [(96, 64)] * 20 + [(128, 96)] * 20
    assert shown(report.path) == expected


@CONTAINERS
def test_a_clip_continues_in_another_file_where_the_codec_changes(
    folder_store: DirectoryStore,
    spool: Path,
    record_video: RecordVideo,
    tmp_path: Path,
    suffix: str,
) -> None:
    record_video(3)
    record_video(2, start=START + 3, codec="hevc")
    record_video(2, start=START + 5)
    expected = archive(spool, folder_store)
    report = clip(folder_store, tmp_path / f"gate{suffix}", 7)
    assert [path.name for path in report.more_paths] == [f"gate-2{suffix}", f"gate-3{suffix}"]
    pictures = [shown(path) for path in (report.path, *report.more_paths)]
    assert [len(part) for part in pictures] == [30, 20, 20]
    assert [picture for part in pictures for picture in part] == expected
    assert [times(path)[0] for path in report.more_paths] == pytest.approx([0, 0], abs=0.01)
    assert report.gaps == ()
    assert report.bytes == sum(p.stat().st_size for p in (report.path, *report.more_paths))


@CONTAINERS
@pytest.mark.parametrize("b_frames", [0, 2])
def test_recordings_with_two_packets_of_one_timestamp_are_exported(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, b_frames: int, suffix: str
) -> None:
    """As RTSP recordings began that were made before the recorder kept such packets apart."""
    connections = []
    for start in (START, START + 2.3):
        info, *packets = items(2, start, b_frames=b_frames)
        begin = [packet for packet in packets[: 2 + b_frames] if isinstance(packet, Packet)]
        stamp = max(packet.pts or 0 for packet in begin)
        same = [replace(p, pts=stamp, dts=begin[-1].dts, capture_time=start) for p in begin]
        connections.append([info, *same, *packets[2 + b_frames :]])
    record(spool, *connections)
    expected = archive(spool, folder_store)
    report = clip(folder_store, tmp_path / f"clip{suffix}", 5)
    assert len(expected) == 40
    assert shown(report.path) == expected
    shown_at = sorted(times(report.path))
    assert all(a < b for a, b in pairwise(shown_at))
    assert shown_at[-1] == pytest.approx(3.7 - 0.2 * b_frames, abs=0.05)


@pytest.mark.parametrize("back", [3.0, 4.7, 60.0])
def test_time_that_was_recorded_twice_is_shown_twice(
    folder_store: DirectoryStore,
    spool: Path,
    record_video: RecordVideo,
    tmp_path: Path,
    back: float,
) -> None:
    """As after the wall clock was set back: one pass after the other, not in turns."""
    record_video(8)
    record_video(6, start=START + 8 - back, size=(128, 96))
    Uploader(spool, folder_store).run_once()
    begin = min(START, START + 8 - back)
    report = cut_clip(folder_store, "cam1", begin, START + 14, tmp_path / "clip.mp4")
    sizes = [picture[:2] for picture in shown(report.path)]
    expected = [(96, 64)] * 80 + [(128, 96)] * 60
    assert sizes == (expected if back < 8 else expected[80:] + expected[:80])
    assert all(a < b for a, b in pairwise(times(report.path)))
    assert not [gap for gap in report.gaps if gap.start < START + 8 and gap.end > START]


@pytest.mark.parametrize(
    ("times_", "expected"),
    [
        ([0, 0, 0.1, 0.2], [0, 0.05, 0.1, 0.2]),
        ([0, 0.4, 0.2, 0.4, 0.6], [0, 0.4, 0.2, 0.5, 0.6]),
        ([0, 0.1, 0.1], [0, 0.1, 0.15]),
        ([0.1, 0.0], [0.1, 0.0]),
        ([5, 5, 5, 5], [5, 5.5, 6, 6.5]),
        ([0, 0, 900, 900.1, 900.2], [0, 0.1, 900, 900.1, 900.2]),
    ],
)
def test_equal_times_are_spread_up_to_the_next(times_: list[float], expected: list[float]) -> None:
    assert distinct_times(times_, 2.0) == pytest.approx(expected)


@CONTAINERS
@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_a_clip_keeps_the_orientation(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, codec: str, suffix: str
) -> None:
    info, *packets = items(2, START, codec=codec)
    assert isinstance(info, StreamInfo)
    turned = Orientation.from_matrix((0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30))
    record(spool, [replace(info, orientation=turned), *packets])
    archive(spool, folder_store)
    report = clip(folder_store, tmp_path / f"clip{suffix}", 2)
    with av.open(str(report.path)) as container:
        rotations = [abs(picture.rotation) for picture in container.decode(video=0)]
    assert rotations == [90] * 20
