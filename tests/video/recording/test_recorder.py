"""Recorder: complete and readable segments, disk errors, recovery, and size limits."""

import dataclasses
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from codecsight.archive.errors import ArchiveError
from codecsight.archive.segment import Segment
from codecsight.archive.spool import finished_segments, remove_segment
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.recording.recorder import NO_KEYFRAME_WARNING_S, Recorder
from tests.small_disk import small_disk

Items = list[StreamInfo | Packet]
START = 1_795_424_400.0


def camera(seconds: float, gop: int = 10, **profile: object) -> Items:
    """Items of a moving square at 10 frames per second, starting at wall clock START."""
    encoder = CameraEncoder(96, 64, 10.0, EncoderProfile(gop=gop, **profile))  # type: ignore[arg-type]
    packets: list[Packet] = []
    for index in range(round(seconds * 10)):
        picture = np.full((64, 96, 3), 90, np.uint8)
        picture[10:30, index % 70 : index % 70 + 20] = 220
        packets += encoder.encode(picture, index / 10, START + index / 10)
    return [encoder.info, *packets, *encoder.flush()]


def packets_of(items: Items) -> list[Packet]:
    return [item for item in items if isinstance(item, Packet)]


def record(spool: Path, items: Items, segment_s: float = 2.0, **options: object) -> Recorder:
    recorder = Recorder(spool, "cam1", segment_s, **options)  # type: ignore[arg-type]
    for item in items:
        recorder.write(item)
    recorder.close()
    return recorder


def recorded(spool: Path) -> list[tuple[Path, Segment]]:
    return list(finished_segments(spool / "cam1"))


def frames(path: Path, max_count: int | None = None) -> list[str]:
    """A hash of every picture of a file, or of the first `max_count`, in display order."""
    with av.open(str(path)) as container:
        return [digest(picture) for picture in islice(container.decode(video=0), max_count)]


def all_frames(paths: Iterable[Path]) -> list[str]:
    """As `frames`, for several segments decoded separately."""
    return [frame for path in paths for frame in frames(path)]


def joined_frames(paths: list[Path]) -> list[str]:
    """As `frames`, for several segments decoded as one stream: with open GOPs the first pictures
    of a segment refer to the segment before.
    """
    decoder: VideoCodecContext | None = None
    pictures: list[av.VideoFrame] = []
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if decoder is None:
                decoder = VideoCodecContext.create(stream.codec_context.name, "r")
                decoder.extradata = stream.codec_context.extradata
            for packet in container.demux(stream):
                pictures += decoder.decode(packet) if packet.size else []
    pictures += decoder.decode(None) if decoder else []
    return [digest(picture) for picture in pictures]


def digest(picture: av.VideoFrame) -> str:
    return hashlib.sha256(bytes(picture.planes[0])).hexdigest()


def decoded(items: Items) -> list[str]:
    """A hash of every picture decoded from the items."""
    info = next(item for item in items if isinstance(item, StreamInfo))
    decoder = VideoCodecContext.create(info.codec, "r")
    decoder.extradata = info.extradata or None
    pictures: list[av.VideoFrame] = []
    for packet in packets_of(items):
        raw = av.Packet(len(packet.data))
        raw.update(packet.data)
        pictures += decoder.decode(raw)
    pictures += decoder.decode(None)
    return [digest(picture) for picture in pictures]


@pytest.mark.parametrize("name", ["bottles.mp4", "vtest.avi"])
def test_recorded_footage_decodes_to_the_same_frames(
    clips: Path, tmp_path: Path, name: str
) -> None:
    source = open_source(str(clips / name))
    recorder = Recorder(tmp_path, "cam1", 10.0)
    for item in source.items():
        recorder.write(item)
    recorder.close()
    paths = [path for path, _ in recorded(tmp_path)]
    assert len(paths) >= 3
    assert all_frames(paths) == frames(clips / name)
    assert recorder.stats.lost_packets == recorder.stats.before_keyframe == 0


@pytest.mark.parametrize(
    "profile",
    [{"b_frames": 2}, {"codec": "hevc"}, {"codec": "mpeg4"}, {"codec": "mjpeg"}],
    ids=lambda profile: str(*profile.values()),
)
def test_every_supported_codec_can_be_recorded(tmp_path: Path, profile: dict[str, object]) -> None:
    items = camera(5, **profile)
    record(tmp_path, items)
    paths = [path for path, _ in recorded(tmp_path)]
    assert len(paths) >= 2
    assert joined_frames(paths) == decoded(items)


def test_parameter_sets_may_come_only_in_the_stream(tmp_path: Path) -> None:
    info, *packets = camera(4, gop=10)
    assert isinstance(info, StreamInfo)
    bare = [dataclasses.replace(info, extradata=b""), *packets]
    first = packets_of(packets)[0]
    bare[1] = dataclasses.replace(first, data=info.extradata + first.data)
    record(tmp_path, bare, segment_s=60)
    assert all_frames(path for path, _ in recorded(tmp_path)) == decoded([info, *packets])


def test_segments_start_at_key_frames_and_have_correct_metadata(tmp_path: Path) -> None:
    record(tmp_path, camera(7, gop=10), segment_s=2.0)
    rows = [row for _, row in recorded(tmp_path)]
    assert [row.start - START for row in rows] == pytest.approx([0, 2, 4, 6], abs=1e-4)
    assert [row.end - START for row in rows] == pytest.approx([2, 4, 6, 7], abs=1e-4)
    assert rows[0].gops == pytest.approx((0.0, 1.0), abs=1e-4)
    for path, row in recorded(tmp_path):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
        assert path.stat().st_size == row.bytes
        assert row.key.endswith(path.name)


def test_packets_before_the_first_key_frame_are_skipped_and_counted(tmp_path: Path) -> None:
    info, *packets = camera(3, gop=10)
    recorder = record(tmp_path, [info, *packets[4:]])
    assert recorder.stats.before_keyframe == 6
    assert recorder.stats.packets == 20
    assert recorder.stats.error == ""


def test_a_camera_that_never_sends_a_key_frame_is_reported(tmp_path: Path) -> None:
    info, *packets = camera(NO_KEYFRAME_WARNING_S + 2, gop=1000)
    recorder = record(tmp_path, [info, *packets[1:]])
    assert "key-frame interval" in recorder.stats.error
    assert recorded(tmp_path) == []


def test_a_gop_longer_than_a_segment_is_not_split(tmp_path: Path) -> None:
    items = camera(12, gop=60)
    record(tmp_path, items, segment_s=1.0)
    assert [len(row.gops) for _, row in recorded(tmp_path)] == [1, 1]


def test_a_gop_beyond_the_size_limit_continues_in_the_next_segment(tmp_path: Path) -> None:
    items = camera(9, gop=1000)
    recorder = record(tmp_path, items, segment_s=1.0, max_segment_s=3.0)
    rows = [row for _, row in recorded(tmp_path)]
    assert recorder.stats.mid_gop_segments == len(rows) - 1 == 2
    assert [len(row.gops) for row in rows] == [1, 0, 0]
    assert recorder.stats.packets == len(packets_of(items))


def test_a_new_connection_starts_a_new_segment(tmp_path: Path) -> None:
    first, second = camera(2), camera(2, codec="hevc")
    record(tmp_path, [*first, *second], segment_s=60)
    paths = [path for path, _ in recorded(tmp_path)]
    assert len(paths) == 2
    assert sorted(all_frames(paths)) == sorted([*decoded(first), *decoded(second)])


@pytest.mark.parametrize("untimed", [1, 3])
def test_first_packets_that_arrive_in_one_burst_get_times_of_their_own(
    tmp_path: Path, untimed: int
) -> None:
    info, *packets = camera(2)
    burst = [dataclasses.replace(packet, capture_time=START) for packet in packets_of(packets[:5])]
    bare = [dataclasses.replace(packet, pts=None, dts=None) for packet in burst[:untimed]]
    record(tmp_path, [info, *bare, *burst[untimed:], *packets[5:]], segment_s=60)
    [(path, _)] = recorded(tmp_path)
    with av.open(str(path)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert times == [100 * index for index in range(20)]


def test_first_packets_without_timestamps_are_placed_by_wall_clock(tmp_path: Path) -> None:
    info, *packets = camera(2)
    untimed = [dataclasses.replace(packet, pts=None, dts=None) for packet in packets[:3]]
    record(tmp_path, [info, *untimed, *packets[3:]], segment_s=60)
    [(path, _)] = recorded(tmp_path)
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([index / 10 for index in range(20)], abs=0.002)


def test_b_frames_without_dts_keep_their_times(tmp_path: Path) -> None:
    info, *packets = camera(2, b_frames=2)
    without_dts = [dataclasses.replace(packet, dts=None) for packet in packets]
    record(tmp_path, [info, *without_dts], segment_s=60)
    [(path, _)] = recorded(tmp_path)
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx([index / 10 for index in range(20)], abs=0.002)


def test_packets_without_data_are_not_recorded(tmp_path: Path) -> None:
    info, *packets = camera(2)
    empty = dataclasses.replace(packets[3], data=b"")
    recorder = record(tmp_path, [info, *packets[:3], empty, *packets[3:]])
    assert recorder.stats.empty_packets == 1
    assert recorder.stats.packets == 20


def test_a_codec_that_cannot_be_recorded_is_reported(tmp_path: Path) -> None:
    info, *packets = camera(1)
    unknown = dataclasses.replace(info, codec="h264_of_tomorrow")
    recorder = record(tmp_path, [unknown, *packets])
    assert "h264_of_tomorrow" in recorder.stats.error
    assert recorder.stats.lost_packets == 10
    assert list((tmp_path / "cam1").glob("*.part")) == []


def test_an_invalid_stream_name_and_a_folder_in_use_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="not a stream name"):
        Recorder(tmp_path, "../cam", 2.0)
    recorder = Recorder(tmp_path, "cam1", 2.0)
    with pytest.raises(ArchiveError, match="another process records"):
        Recorder(tmp_path, "cam1", 2.0)
    recorder.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="can't record into"):
        Recorder(tmp_path / "file", "cam1", 2.0)


def test_the_oldest_segments_are_discarded_above_the_limit(tmp_path: Path) -> None:
    items = camera(20, gop=10)
    record(tmp_path / "all", items, segment_s=2.0)
    sizes = [row.bytes for _, row in recorded(tmp_path / "all")]
    recorder = record(tmp_path / "some", items, segment_s=2.0, limit_bytes=sum(sizes) // 2)
    kept = [row for _, row in recorded(tmp_path / "some")]
    assert 2 <= len(kept) < len(sizes)
    assert recorder.stats.discarded_segments == len(sizes) - len(kept)
    assert recorder.stats.discarded_bytes > 0
    assert kept[-1].end - START == pytest.approx(20, abs=1e-3)


def test_a_full_disk_pauses_recording_and_keeps_written_segments(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        recorder = Recorder(disk, "cam1", 2.0, retry_s=0.0)
        errors = set()
        for item in camera(60, crf=1.0):
            recorder.write(item)
            errors.add(recorder.stats.error)
        recorder._finisher.submit(lambda: None).result()  # wait for all rows
        assert any("paused" in error and "No space left" in error for error in errors)
        assert not any("stays in the spool" in error for error in errors)
        assert recorder.stats.lost_packets > 0
        oldest = recorded(disk)[:-1]
        for path, _ in oldest:
            remove_segment(path)
        for item in camera(5):
            recorder.write(item)
        recorder.close()
        assert recorder.stats.error == recorder.stats.spool_error == ""
        assert recorder.stats.segments >= len(oldest) + 3
        assert list((disk / "cam1").glob("*.part")) == []
        for path, row in recorded(disk):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == row.sha256
            assert len(frames(path)) > 0


def test_a_file_size_limit_is_handled_like_a_full_disk(tmp_path: Path) -> None:
    items = camera(10, crf=1.0)
    record(tmp_path / "complete", items, segment_s=60)
    [(_, complete)] = recorded(tmp_path / "complete")
    quota = complete.bytes // 2
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (quota, hard))
    try:
        recorder = record(tmp_path / "cut", items, segment_s=60, retry_s=0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = all_frames(path for path, _ in recorded(tmp_path / "cut"))
    assert kept
    assert set(kept) <= set(decoded(items))
    assert recorder.stats.lost_packets + recorder.stats.packets >= 100


KILLED = """
import sys, time
from pathlib import Path
from codecsight.video.recording.recorder import Recorder
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceOptions
recorder = Recorder(Path(sys.argv[1]), "cam1", 60.0)
for count, item in enumerate(open_source(sys.argv[2]).items()):
    recorder.write(item)
    if count == 200:
        print("ready", flush=True)
        time.sleep(60)
"""


def test_the_segment_of_a_killed_process_is_recovered(clips: Path, tmp_path: Path) -> None:
    clip = clips / "one_by_one.mp4"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(clip)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert len(list((tmp_path / "cam1").glob("*.part"))) == 1
    recorder = Recorder(tmp_path, "cam1", 60.0)
    recorder.close()
    [(path, row)] = recorded(tmp_path)
    assert recorder.stats.recovered == 1
    assert recorder.stats.segments == 1
    assert list((tmp_path / "cam1").glob("*.part")) == []
    kept = frames(path)
    assert 195 <= len(kept) <= 200
    assert kept == frames(clip, len(kept))
    assert row.end - row.start == pytest.approx(20, abs=0.5)
    assert abs(row.start - time.time()) < 60


def test_a_removed_folder_loses_only_its_contents(tmp_path: Path) -> None:
    items = list(camera(6, gop=10))
    recorder = Recorder(tmp_path, "cam1", 1.0, retry_s=0.0)
    for index, item in enumerate(items):
        if index == len(items) // 2:
            # Renamed first: rmtree would fail if a row were written to the folder meanwhile.
            removed = (tmp_path / "cam1").rename(tmp_path / "removed")
            shutil.rmtree(removed)
        recorder.write(item)
    recorder.close()
    kept = [segment for _, segment in recorded(tmp_path)]
    assert sum(segment.end - segment.start for segment in kept) > 1.9


def test_an_unreadable_unfinished_file_is_renamed_and_an_empty_one_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "cam1"
    folder.mkdir()
    (folder / "20261123T090000.000Z.mkv.part").write_bytes(os.urandom(9000))
    (folder / "20261123T090001.000Z.mkv.part").write_bytes(b"")
    recorder = Recorder(tmp_path, "cam1", 60.0)
    recorder.close()
    assert recorder.stats.unreadable == 2
    assert [path.name for path in folder.glob("*Z.*")] == [
        "20261123T090000.000Z.mkv.part.unreadable"
    ]


def test_a_missing_row_is_recreated(tmp_path: Path) -> None:
    record(tmp_path, camera(2, gop=10), segment_s=60)
    [(path, row)] = recorded(tmp_path)
    path.with_suffix(".json").unlink()
    Recorder(tmp_path, "cam1", 60.0).close()
    [(again, found)] = recorded(tmp_path)
    assert again == path
    assert (found.sha256, found.bytes, found.key) == (row.sha256, row.bytes, row.key)
    assert found.gops == pytest.approx(row.gops, abs=0.01)


def test_packets_may_have_another_time_base_than_the_stream(tmp_path: Path) -> None:
    info, *packets = camera(2)
    slow = Fraction(1, 1000)
    items = [
        dataclasses.replace(
            packet, pts=round(packet.time * 1000), dts=None, duration=100, time_base=slow
        )
        for packet in packets_of(packets)
        if packet.time is not None
    ]
    record(tmp_path, [info, *items], segment_s=60)
    [(_, row)] = recorded(tmp_path)
    assert row.end - row.start == pytest.approx(2.0, abs=0.01)
