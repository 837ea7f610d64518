"""What users give as a source: paths, file: URLs, pipes, raw video, mistyped URLs."""

import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from codecsight.core.packet import Packet
from codecsight.video.capture.files.pipe import PipeReader
from codecsight.video.capture.live_source import LiveSource
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceError, SourceOptions
from codecsight.video.codec.decoder import decode_stream
from tests.video.scenes import moving_square, write_video

SCENE = moving_square(25, (4, 0), (8, 80))
B_FRAMES = {"bf": "3", "g": "12", "x264-params": "b-adapt=0:b-pyramid=normal"}


def count(url: str) -> int:
    return sum(isinstance(item, Packet) for item in open_source(url).items())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "my clip.mkv", SCENE)


def test_file_urls_and_paths_name_the_same_file(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clip.parent
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    for url in (
        f"file://{folder}/my%20clip.mkv",
        f"file://{clip}",
        f"file://localhost{folder}/my%20clip.mkv",
        f"FILE://LocalHost{clip}",
        f"file:{folder}/my%20clip.mkv",
        "file:my clip.mkv",
        f"  {clip} ",
        "~/my clip.mkv",
        "my clip.mkv",
    ):
        assert count(url) == 25, url


def test_a_name_with_a_percent_sign_or_a_blank_before_it_is_taken_as_it_is(clip: Path) -> None:
    for name in ("100%25.mkv", " first.mkv"):
        (clip.parent / name).write_bytes(clip.read_bytes())
        assert count(f"file://{clip.parent}/{name}") == 25
        assert count(str(clip.parent / name)) == 25


def test_a_file_url_of_another_machine_is_an_error() -> None:
    with pytest.raises(SourceError, match="of this machine"):
        open_source("file://nas/yard.mp4")


def test_a_fifo_is_read_to_its_end(clip: Path) -> None:
    fifo = clip.parent / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(clip.read_bytes()))
    writer.start()
    assert count(str(fifo)) == 25
    writer.join(10)


def test_a_fifo_without_a_writer_is_an_error_in_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SourceError, match=r"nothing was written to it within 0\.3 s"):
        PipeReader(tmp_path / "fifo", lambda: False, first_data_s=0.3)


def test_a_pipe_is_not_looped(clip: Path) -> None:
    os.mkfifo(clip.parent / "fifo")
    with pytest.raises(SourceError, match="can't be read again in a loop"):
        open_source(str(clip.parent / "fifo"), SourceOptions(loop=True))


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_read(clip: Path, name: str) -> None:
    code = (
        "import sys; from codecsight.video.capture.open import open_source; "
        "print(sum(1 for _ in open_source(sys.argv[1]).items()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name],
        input=clip.read_bytes(), capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [b"26"], done.stderr


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("raw.h264", "libx264", B_FRAMES),
        ("raw.h264", "libx264", {"bf": "0"}),
        ("raw.hevc", "libx265", {"x265-params": "log-level=none:bframes=3"}),
        ("b.avi", "libx264", B_FRAMES),
        ("b.avi", "mpeg4", {"bf": "2"}),
        ("raw.m4v", "mpeg4", {"bf": "2"}),
    ],
)
def test_times_come_from_the_frame_rate_where_the_format_has_none(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_video(tmp_path / name, SCENE, rate=10, codec=codec, **options)
    source = open_source(str(path))
    items = list(source.items())
    frames = list(decode_stream(items))
    assert [round(frame.time, 6) for frame in frames] == [n / 10 for n in range(25)]
    packets = [item for item in items if isinstance(item, Packet)]
    assert all(p.pts is not None and p.dts is not None and p.dts <= p.pts for p in packets)
    assert all(a.dts < b.dts for a, b in pairwise(packets) if a.dts is not None and b.dts)
    assert not source.anomalies
    squares = [frame.picture.to_ndarray(format="gray").argmax(axis=1).max() for frame in frames]
    assert squares == sorted(squares), "in the order of display"


def test_damage_in_a_raw_stream_costs_no_more_than_its_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "raw.h264", SCENE * 4, rate=10, **B_FRAMES)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 400):
        data[at] ^= 0x5A
    path.write_bytes(data)
    packets = [item for item in open_source(str(path)).items() if isinstance(item, Packet)]
    assert len(packets) >= 90
    assert [p.dts for p in packets] == sorted(p.dts or 0 for p in packets)


def test_raw_pixels_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "pixels.yuv"
    path.write_bytes(bytes(160 * 120 * 3))
    with pytest.raises(SourceError, match=r"ffmpeg -f rawvideo .* -i pixels\.yuv"):
        open_source(str(path))


def test_pictures_of_two_by_two_pixels_are_read(tmp_path: Path) -> None:
    small = [picture[100:102, 20:22].copy() for picture in SCENE]
    frames = list(decode_stream(open_source(str(write_video(tmp_path / "a.mkv", small))).items()))
    assert {(frame.width, frame.height) for frame in frames} == {(2, 2)}
    assert len(frames) == 25


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "the URL is empty"),
        ("rtps://cam/x", "did you mean rtsp"),
        ("rtsp:/cam/x", "expected rtsp://HOST"),
        ("admin:Geheim7@10.0.0.7/main", r"^\*\*\*@10\.0\.0\.7/main: no such file; .*rtsp://"),
        ("10.0.0.7:554/main", "begins with rtsp://"),
        ("rtsp://admin:Geh/eim7@cam/x", r"rtsp://\*\*\*@cam/x: .*%2F"),
        ("rtsp://admin:#Geheim7@cam/x", r"rtsp://\*\*\*@cam/x: .*%23"),
        ("rtsp://admin:12?Geheim7@cam/x", r"rtsp://\*\*\*@cam/x: .*%3F"),
        (
            "foo://admin:Geheim7@cam/x",  # pragma: allowlist secret
            r"foo://\*\*\*@cam/x: unknown scheme",
        ),
    ],
)
def test_a_mistyped_url_is_an_error_without_secrets(url: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        open_source(url)
    assert "eim7" not in str(caught.value)


def test_schemes_in_upper_case_and_blanks_around_urls_are_accepted() -> None:
    for url in (
        "RTSP://cam/Main",
        "  Http://admin:a@b@cam/x ",
        "rtsp://admin:a%2Fb@cam/x",  # pragma: allowlist secret
    ):
        assert isinstance(open_source(url), LiveSource)
    assert open_source("WORLD://yard?seed=7")
