"""Files as sources: packets, loops, pacing, closing, and errors of unreadable files."""

import os
import signal
import threading
import time
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import Source, SourceError, SourceOptions, SourceState
from tests.video.scenes import moving_square, write_video

SCENE = moving_square(25, (4, 0), (8, 80))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of video with B-frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "second.mp4", SCENE)


def packets(source: Source, count: int | None = None) -> list[Packet]:
    """The next packets of a source, all of them by default."""
    found: list[Packet] = []
    for item in source.items():
        if isinstance(item, Packet):
            found.append(item)
        if len(found) == count:
            source.close()
    return found


def test_a_file_yields_its_stream_info_then_its_packets(video: Path) -> None:
    source = open_source(str(video))
    info, *rest = source.items()
    assert isinstance(info, StreamInfo)
    assert (info.codec, info.width, info.height, info.rate) == ("h264", 320, 240, 25.0)
    assert len(rest) == 25
    assert all(isinstance(item, Packet) for item in rest)
    assert source.state is SourceState.ENDED
    assert not source.anomalies


def test_a_file_url_is_opened_as_a_path(video: Path) -> None:
    assert len(packets(open_source(f"file://{video}"))) == 25


def test_each_state_change_is_reported_once(video: Path) -> None:
    source = open_source(str(video), SourceOptions(loop=True))
    states: list[SourceState] = []
    source.on_state = lambda state, _detail: states.append(state)
    packets(source, 60)
    assert states == [SourceState.LIVE, SourceState.ENDED]


def test_capture_time_of_an_unpaced_file_follows_the_stream_time(video: Path) -> None:
    before = time.time()
    found = packets(open_source(str(video)))
    start = found[0].capture_time
    assert before <= start <= time.time()
    assert [p.capture_time - start for p in found] == pytest.approx(
        [p.time for p in found], abs=1e-3
    )


def test_a_loop_restarts_with_a_stream_info_and_continues_the_time(video: Path) -> None:
    source = open_source(str(video), SourceOptions(loop=True))
    infos, found = 0, []
    for item in source.items():
        if isinstance(item, StreamInfo):
            infos += 1
        else:
            found.append(item)
        if len(found) == 75:
            source.close()
    assert infos == 3
    times = sorted(p.time for p in found if p.time is not None)
    assert [b - a for a, b in pairwise(times)] == pytest.approx([0.04] * 74, abs=1e-6)
    order = [p.dts for p in found if p.dts is not None]
    assert all(later > earlier for earlier, later in pairwise(order))


def test_a_paced_file_plays_in_real_time(video: Path) -> None:
    started = time.monotonic()
    found = packets(open_source(str(video), SourceOptions(paced=True)))
    assert 0.8 < time.monotonic() - started < 5
    assert found[-1].capture_time - found[0].capture_time > 0.8
    assert all(later.capture_time >= earlier.capture_time for earlier, later in pairwise(found))


def test_another_thread_can_close_a_waiting_source(video: Path) -> None:
    source = open_source(str(video), SourceOptions(paced=True, loop=True))
    threading.Timer(0.2, source.close).start()
    started = time.monotonic()
    packets(source)
    assert time.monotonic() - started < 2
    assert source.state is SourceState.ENDED


def test_a_signal_handler_can_close_a_source(video: Path) -> None:
    source = open_source(str(video), SourceOptions(paced=True, loop=True))
    previous = signal.signal(signal.SIGUSR1, lambda *_: source.close())
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        started = time.monotonic()
        packets(source)
        assert time.monotonic() - started < 2
    finally:
        signal.signal(signal.SIGUSR1, previous)


def audio_only(folder: Path) -> Path:
    path = folder / "audio.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(16_000))
    return path


def text(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("Text, not video.\n" * 100)
    return path


def plain_text(folder: Path) -> Path:
    path = folder / "plain.txt"
    path.write_text("Text, not video.\n" * 100)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def truncated(folder: Path) -> Path:
    """An MP4 truncated to half its size, without the index from its end."""
    whole = write_video(folder / "whole.mp4", SCENE).read_bytes()
    path = folder / "half.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def missing(folder: Path) -> Path:
    return folder / "missing.mp4"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, "no such file"),
        (Path, "a folder"),
        (empty, "can't be read as video"),
        (text, "can't be read as video"),
        (plain_text, "it is text"),
        (truncated, "is it complete"),
        (audio_only, "no video stream, only: audio"),
    ],
)
def test_a_path_without_readable_video_is_rejected_by_name(
    tmp_path: Path, make: object, message: str
) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(SourceError, match=message) as raised:
        open_source(str(path))
    assert str(path) in str(raised.value)


def test_a_truncated_file_with_its_index_in_front_yields_its_remaining_packets(
    tmp_path: Path,
) -> None:
    whole = write_video(tmp_path / "whole.mkv", SCENE).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole[: len(whole) * 4 // 5])
    found = packets(open_source(str(path)))
    assert 3 < len(found) < 25


def test_a_sample_without_data_is_skipped(tmp_path: Path) -> None:
    data = bytearray(write_video(tmp_path / "whole.mp4", SCENE).read_bytes())
    sizes = data.find(b"stsz") + 16  # ISO/IEC 14496-12, 8.7.3.2: one size a sample
    data[sizes + 4 * 24 : sizes + 4 * 25] = bytes(4)
    path = tmp_path / "gap.mp4"
    path.write_bytes(data)
    found = packets(open_source(str(path)))
    assert len(found) == 24
    assert all(packet.data for packet in found)


def test_an_unsupported_url_is_rejected() -> None:
    with pytest.raises(SourceError, match=r"foo://\*\*\*@camera: unknown scheme"):
        packets(open_source("foo://user:secret@camera"))  # pragma: allowlist secret


def test_error_messages_contain_no_password() -> None:
    with pytest.raises(SourceError) as raised:
        packets(open_source("foo://user:secret@camera/1"))  # pragma: allowlist secret
    assert "secret" not in str(raised.value)
    assert "secret" not in repr(raised.value)
