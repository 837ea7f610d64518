"""Sound is recorded as it is, at its time, in every codec that cameras send."""

import tempfile
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from structlog.testing import capture_logs

from codecsight.archive.spool import finished_segments
from codecsight.core.packet import StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.video.capture.feed.server import FeedServer
from codecsight.video.capture.open import open_source
from codecsight.video.capture.process import CaptureProcess
from codecsight.video.capture.source import SourceOptions
from codecsight.video.probe import probe
from codecsight.video.recording.recorder import Recorder
from codecsight.video.recording.sound_stream import can_record
from tests.video.scenes import HEIGHT, WIDTH, encode, moving_square

BEEP_S = 2.0


def tone(rate: int, seconds: float) -> np.ndarray:
    """Silence, and a tone of 440 Hz from BEEP_S to half a second later; int16."""
    at = np.arange(round(rate * seconds)) / rate
    beep = (at >= BEEP_S) & (at < BEEP_S + 0.5)
    return (12_000 * np.sin(2 * np.pi * 440 * at) * beep).astype(np.int16)


def encoded(codec: str, rate: int, seconds: float = 4.0) -> tuple[AudioInfo, list[AudioPacket]]:
    context = AudioCodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.time_base = rate, "mono", Fraction(1, rate)
    context.format = "fltp" if codec == "aac" else "s16"
    if "g726" in codec:
        context.bit_rate = 32_000
    context.open()
    frame_size = context.frame_size or rate // 25
    resampler = av.AudioResampler(context.format.name, "mono", rate, frame_size)
    frame = av.AudioFrame.from_ndarray(tone(rate, seconds)[None], "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    packets = [p for each in resampler.resample(frame) for p in context.encode(each)]
    packets += context.encode(None)
    name = context.codec.canonical_name
    bits = 4 if "g726" in codec else 0
    info = AudioInfo(name, context.extradata or b"", rate, 1, bits, Fraction(1, rate))
    return info, [
        AudioPacket(bytes(p), index * frame_size, frame_size, Fraction(1, rate))
        for index, p in enumerate(packets)
        if p.size
    ]


def record(folder: Path, info: AudioInfo, sound: list[AudioPacket]) -> list[Path]:
    """Four seconds of video, with the sound between its pictures."""
    video, pictures = encode(moving_square(40, (2, 0), (8, 80)), rate=10, gop=10)
    recorder, left = Recorder(folder, "cam1", 60.0), list(sound)
    recorder.write(video)
    recorder.start_audio(info)
    for picture in pictures:
        recorder.write(picture)
        while left and left[0].pts * left[0].time_base <= (picture.pts or 0) * picture.time_base:
            recorder.write_audio(left.pop(0))
    recorder.close()
    assert recorder.stats.error == ""
    return [path for path, _ in finished_segments(folder / "cam1")]


def beep_at(path: Path) -> float:
    """When the tone begins, in seconds from the first picture."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time or 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            loud = np.abs(frame.to_ndarray().astype(float).ravel()) > 3000 * (
                1 / 32768 if frame.format.name.startswith("flt") else 1
            )
            if loud.any():
                return (frame.time or 0.0) - first + float(np.argmax(loud)) / frame.sample_rate
    pytest.fail("silence")


CODECS = [
    ("pcm_alaw", 8000),
    ("pcm_mulaw", 8000),
    ("aac", 16_000),
    ("libopus", 48_000),
    ("g726", 8000),
    ("g726le", 8000),
]


@pytest.mark.parametrize(("codec", "rate"), CODECS)
def test_sound_is_recorded_at_its_time(tmp_path: Path, codec: str, rate: int) -> None:
    [path] = record(tmp_path, *encoded(codec, rate))
    assert beep_at(path) == pytest.approx(BEEP_S, abs=0.08)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40


@pytest.mark.parametrize(("codec", "rate"), [c for c in CODECS if c[0] != "g726le"])
def test_its_packets_are_not_changed(tmp_path: Path, codec: str, rate: int) -> None:
    info, sound = encoded(codec, rate)
    [path] = record(tmp_path, info, sound)
    with av.open(str(path)) as container:
        stored = b"".join(bytes(packet) for packet in container.demux(audio=0))
        assert container.streams.audio[0].codec_context.codec.canonical_name == info.codec
    assert len(stored) > 10_000 if "g726" in codec or "pcm" in codec else len(stored) > 500
    assert b"".join(packet.data for packet in sound).startswith(stored)


def test_a_killed_recorder_leaves_its_sound(tmp_path: Path) -> None:
    info, sound = encoded("pcm_alaw", 8000)
    video, pictures = encode(moving_square(40, (2, 0), (8, 80)), rate=10, gop=10)
    recorder = Recorder(tmp_path, "cam1", 60.0)
    recorder.write(video)
    recorder.start_audio(info)
    for index, picture in enumerate(pictures):
        recorder.write(picture)
        for packet in sound[index * 5 // 2 : (index + 1) * 5 // 2]:
            recorder.write_audio(packet)
    [part] = (tmp_path / "cam1").glob("*.part")
    with av.open(str(part)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 38
    assert beep_at(part) == pytest.approx(BEEP_S, abs=0.08)
    recorder.close()


def test_a_codec_that_no_recording_can_hold_is_named() -> None:
    info = AudioInfo("aac_latm", b"", 16_000, 1, 0, Fraction(1, 16_000))
    assert not can_record(info)
    assert str(info) == "aac_latm, 16 kHz, 1 channel"


def film(path: Path) -> Path:
    """A file with video and AAC."""
    with av.open(str(path), "w") as container:
        picture_stream = container.add_stream("h264", rate=10)
        picture_stream.width, picture_stream.height = WIDTH, HEIGHT
        sound_stream = container.add_stream("aac", rate=16_000, layout="mono")
        for index, picture in enumerate(moving_square(40, (2, 0), (8, 80))):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(picture_stream.encode(frame))
        sound = av.AudioFrame.from_ndarray(tone(16_000, 4.0)[None], "s16", "mono")
        sound.sample_rate, sound.pts = 16_000, 0
        resampler = av.AudioResampler("fltp", "mono", 16_000, 1024)
        for each in resampler.resample(sound):
            container.mux(sound_stream.encode(each))
        container.mux([*picture_stream.encode(None), *sound_stream.encode(None)])
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_sound_of_a_file(tmp_path: Path, suffix: str) -> None:
    """MPEG-TS has AAC with headers and without parameters."""
    source = open_source(str(film(tmp_path / f"film{suffix}")), SourceOptions(audio=True))
    recorder = Recorder(tmp_path / "spool", "cam1", 60.0)

    def on_audio(item: AudioInfo | AudioPacket) -> None:
        if isinstance(item, AudioInfo):
            assert recorder.start_audio(item) == "recorded"
        else:
            recorder.write_audio(item)

    source.on_audio = on_audio
    for item in source.items():
        recorder.write(item)
    recorder.close()
    [(path, row)] = finished_segments(tmp_path / "spool" / "cam1")
    assert beep_at(path) == pytest.approx(BEEP_S, abs=0.08)
    assert row.end - row.start == pytest.approx(4, abs=0.2)


@pytest.mark.parametrize("audio", [False, True])
def test_the_log_says_once_what_becomes_of_sound(tmp_path: Path, audio: bool) -> None:
    options = SourceOptions(loop=True, audio=audio)
    source = open_source(str(film(tmp_path / "film.mp4")), options)
    recorder = Recorder(tmp_path, "cam1", 60.0)
    with tempfile.TemporaryDirectory() as folder, capture_logs() as logs:
        process = CaptureProcess(source, recorder, FeedServer(Path(folder) / "feed"), audio)
        timer = threading.Timer(0.3, source.close)
        timer.start()
        process.run()
    [entry] = [entry for entry in logs if entry["event"] == "the camera has sound"]
    assert ("audio: true" in entry["recording"]) is not audio
    for path, _ in finished_segments(tmp_path / "cam1"):
        with av.open(str(path)) as container:
            assert len(container.streams.audio) == audio


def test_sound_is_announced_and_not_read_unless_asked_for(tmp_path: Path) -> None:
    source, heard = open_source(str(film(tmp_path / "film.mp4"))), []
    source.on_audio = heard.append
    items = list(source.items())
    assert isinstance(items[0], StreamInfo)
    [info] = heard
    assert str(info) == "aac, 16 kHz, 1 channel"


def test_a_probe_says_whether_sound_can_be_recorded(tmp_path: Path) -> None:
    sound = probe(str(film(tmp_path / "film.mp4")), 1.0).sound
    assert sound.startswith("aac, 16 kHz, 1 channel; recorded if")
