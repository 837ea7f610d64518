"""Clip export: playable files that start at a key frame, with every gap reported."""

import hashlib
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codecsight.archive.clip import cut_clip
from codecsight.archive.clip_plan import decode_times
from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.errors import ArchiveError
from codecsight.archive.index import Index
from codecsight.archive.segment import row_key
from codecsight.archive.store import ObjectStore
from codecsight.archive.upload.uploader import Uploader
from codecsight.video.capture.open import open_source
from codecsight.video.recording.recorder import Recorder

from .conftest import START, RecordVideo


def pictures(path: Path) -> list[tuple[float, str]]:
    """Time in seconds and content hash of every decoded picture, in presentation order."""
    with av.open(str(path)) as container:
        return [
            (float(frame.time or 0), hashlib.sha256(bytes(frame.planes[0])).hexdigest())
            for frame in container.decode(video=0)
        ]


def content(path: Path) -> list[str]:
    return [picture for _, picture in pictures(path)]


def first_packet_is_key(path: Path) -> bool:
    with av.open(str(path)) as container:
        return next(container.demux(video=0)).is_keyframe


@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_clip_runs_from_the_key_frame_before_the_start_to_the_end(
    store: ObjectStore, spool: Path, record_video: RecordVideo, tmp_path: Path, b_frames: int
) -> None:
    record_video(9, b_frames=b_frames)
    Uploader(spool, store).run_once()
    out = tmp_path / "clip.mp4"
    report = cut_clip(store, "cam1", START + 3.5, START + 6.25, out)
    whole = tmp_path / "whole.mp4"
    cut_clip(store, "cam1", START, START + 9, whole)
    shown = pictures(out)
    assert report.path == out
    assert first_packet_is_key(out)
    assert report.start == pytest.approx(START + 3, abs=0.01)
    assert report.end == pytest.approx(START + 6.2, abs=0.15)
    assert len(shown) in ((33,) if not b_frames else (33, 34, 35))
    assert [picture for _, picture in shown] == content(whole)[30 : 30 + len(shown)]
    assert [b - a for (a, _), (b, _) in pairwise(shown)] == pytest.approx(
        [0.1] * (len(shown) - 1), abs=0.003
    )
    assert report.gaps == ()
    assert report.packets - len(shown) in range(
        2
    )  # one picture after the end may be a reference of one before it
    assert report.bytes == out.stat().st_size


def test_a_real_recording_is_exported_frame_for_frame(
    clips: Path, folder_store: DirectoryStore, spool: Path, tmp_path: Path
) -> None:
    recorder = Recorder(spool, "bottles", 5.0)
    for item in open_source(str(clips / "bottles.mp4")).items():
        recorder.write(item)
    recorder.close()
    Uploader(spool, folder_store).run_once()
    span = Index(folder_store).span("bottles")
    assert span is not None
    report = cut_clip(folder_store, "bottles", span[0], span[1], tmp_path / "clip.mp4")
    assert len(report.segments) >= 5
    assert content(report.path) == content(clips / "bottles.mp4")


def test_a_codec_that_mp4_cannot_hold_is_exported_as_matroska(
    clips: Path, folder_store: DirectoryStore, spool: Path, tmp_path: Path
) -> None:
    recorder = Recorder(spool, "old", 30.0)
    for item in open_source(str(clips / "vtest.avi")).items():
        recorder.write(item)
    recorder.close()
    Uploader(spool, folder_store).run_once()
    span = Index(folder_store).span("old")
    assert span is not None
    report = cut_clip(folder_store, "old", *span, tmp_path / "clip.mp4")
    assert report.path == tmp_path / "clip.mkv"
    assert not (tmp_path / "clip.mp4").exists()
    assert content(report.path) == content(clips / "vtest.avi")


@pytest.mark.parametrize("codec", ["hevc", "mjpeg", "mpeg4"])
def test_other_camera_codecs_are_exported_as_mp4(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path, codec: str
) -> None:
    record_video(5, codec=codec)
    Uploader(spool, folder_store).run_once()
    report = cut_clip(folder_store, "cam1", START + 1, START + 4, tmp_path / "clip.mp4")
    assert report.path.suffix == ".mp4"
    assert len(content(report.path)) in range(28, 34)


def test_a_gap_is_reported_and_keeps_its_length_in_the_clip(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(4)
    record_video(4, start=START + 20)
    Uploader(spool, folder_store).run_once()
    report = cut_clip(folder_store, "cam1", START, START + 24, tmp_path / "clip.mp4")
    [gap] = report.gaps
    assert (gap.start - START, gap.end - START) == pytest.approx((4, 20), abs=0.05)
    assert gap.reason == "nothing was recorded"
    times = [time for time, _ in pictures(report.path)]
    assert len(times) == 80
    assert times[40] - times[0] == pytest.approx(20, abs=0.05)


def test_a_range_that_starts_before_the_recording_starts_with_it(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(4)
    Uploader(spool, folder_store).run_once()
    report = cut_clip(folder_store, "cam1", START - 60, START + 2, tmp_path / "clip.mp4")
    assert report.start == pytest.approx(START, abs=0.01)
    assert report.gaps[0].end == pytest.approx(START, abs=0.01)


def test_a_clip_within_a_gop_of_several_segments_starts_at_its_key_frame(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(9, gop=1000, max_segment_s=2.0)
    Uploader(spool, folder_store).run_once()
    report = cut_clip(folder_store, "cam1", START + 7, START + 8, tmp_path / "clip.mp4")
    assert report.start == pytest.approx(START, abs=0.01)
    assert len(content(report.path)) == 80


def test_a_gop_without_its_start_is_left_out_and_reported(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(10, gop=70, max_segment_s=2.0)
    Uploader(spool, folder_store).run_once()
    rows = Index(folder_store).between("cam1", START, START + 10).segments
    folder_store.delete(row_key(rows[0]))
    report = cut_clip(folder_store, "cam1", START, START + 10, tmp_path / "clip.mp4")
    assert report.start == pytest.approx(START + 7, abs=0.01)
    assert len(content(report.path)) == 30
    [unusable] = [gap for gap in report.gaps if "no key frame" in gap.reason]
    assert (unusable.start, unusable.end) == pytest.approx((rows[1].start, START + 7), abs=0.11)
    folder_store.delete(row_key(rows[4]))
    with pytest.raises(ArchiveError, match="no key frame to start from"):
        cut_clip(folder_store, "cam1", START, START + 7, tmp_path / "clip.mp4")


def test_missing_and_damaged_segments_are_reported_as_gaps(
    store: ObjectStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(8)
    Uploader(spool, store).run_once()
    rows = Index(store).between("cam1", START, START + 8).segments
    store.delete(rows[1].key)
    store.put_bytes(rows[2].key, b"other content")
    report = cut_clip(store, "cam1", START, START + 8, tmp_path / "clip.mp4")
    assert [gap.reason for gap in report.gaps] == [
        f"{rows[1].key} is missing",
        f"{rows[2].key} is damaged",
    ]
    assert len(content(report.path)) == 40


def test_a_damaged_row_is_reported_as_a_gap(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(6)
    Uploader(spool, folder_store).run_once()
    rows = Index(folder_store).between("cam1", START, START + 6).segments
    folder_store.put_bytes(row_key(rows[1]), b"{")
    report = cut_clip(folder_store, "cam1", START, START + 6, tmp_path / "clip.mp4")
    assert any(row_key(rows[1]) in gap.reason for gap in report.gaps)
    assert len(content(report.path)) == 40


def test_an_unrecorded_range_is_an_error_that_lists_what_the_archive_holds(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(4)
    Uploader(spool, folder_store).run_once()
    out = tmp_path / "clip.mp4"
    with pytest.raises(ArchiveError, match=r"nothing was recorded.*has it from 2026-11-23T"):
        cut_clip(folder_store, "cam1", START + 100, START + 110, out)
    with pytest.raises(ArchiveError, match=r"no stream 'cam9'; it has: cam1"):
        cut_clip(folder_store, "cam9", START, START + 1, out)
    with pytest.raises(ArchiveError, match="is not after its start"):
        cut_clip(folder_store, "cam1", START + 2, START + 1, out)
    assert not out.exists()


def test_an_unwritable_output_path_is_named_in_the_error(
    folder_store: DirectoryStore, spool: Path, record_video: RecordVideo, tmp_path: Path
) -> None:
    record_video(4)
    Uploader(spool, folder_store).run_once()
    with pytest.raises(ArchiveError, match=r"nowhere/clip\.mp4"):
        cut_clip(folder_store, "cam1", START, START + 2, tmp_path / "nowhere" / "clip.mp4")
    with pytest.raises(ArchiveError, match=r"an \.mp4 or \.mkv"):
        cut_clip(folder_store, "cam1", START, START + 2, tmp_path / "clip.avi")


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=40))
def test_decode_times_increase_and_never_exceed_distinct_presentation_times(
    shown: list[int],
) -> None:
    decoded = decode_times(shown)
    assert all(a < b for a, b in pairwise(decoded))
    if len(set(shown)) == len(shown):
        assert all(at <= time for at, time in zip(decoded, shown, strict=True))
