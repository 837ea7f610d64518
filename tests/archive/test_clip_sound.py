"""Clips have the sound of their recordings, at the same times as the pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from codecsight.archive.clip import cut_clip
from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.segment import format_timestamp
from tests.video.recording.test_sound import beep_at, encoded, record

from .conftest import START

BEEP_S = 0.2


def record_with_sound(spool: Path, start: float, seconds: float, codec: str, rate: int) -> None:
    """An unfinished recording whose picture turns white, with a beep, at each full second."""
    path = spool / "cam1" / f"{format_timestamp(start)}.mkv.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="matroska") as container:
        video = container.add_stream(
            "libx264", rate=10, options={"g": "10", "bf": "0", "sc_threshold": "0"}
        )
        video.width, video.height = 96, 64
        sound = container.add_stream(codec, rate=rate, layout="mono")
        for number in range(round(seconds * 10)):
            beep = number % 10 < round(BEEP_S * 10)
            picture = av.VideoFrame.from_ndarray(
                np.full((64, 96, 3), 250 if beep else 20, np.uint8), format="rgb24"
            )
            picture.pts, picture.time_base = number, Fraction(1, 10)
            container.mux(video.encode(picture))
            at = np.arange(rate // 10) / rate
            wave = (12_000 * np.sin(2 * np.pi * 440 * at) * beep).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            samples.sample_rate, samples.pts = rate, number * rate // 10
            samples.time_base = Fraction(1, rate)
            container.mux(sound.encode(samples))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def onsets(path: Path) -> tuple[list[float], list[float]]:
    """Times in seconds at which the picture turns white, and at which a beep begins."""
    with av.open(str(path)) as container:
        pictures = [(float(p.time or 0), p.to_ndarray(format="gray").mean() > 128)
                    for p in container.decode(video=0)]  # fmt: skip
        container.seek(0)
        sounds = [(float(s.time or 0), np.ptp(s.to_ndarray().astype(float)))
                  for s in container.decode(audio=0)]  # fmt: skip
    loudest = max(level for _, level in sounds)
    return _rises(pictures), _rises([(time, level > loudest / 4) for time, level in sounds])


def _rises(states: list[tuple[float, bool]]) -> list[float]:
    before = [False, *(state for _, state in states)]
    return [time for (time, state), last in zip(states, before, strict=False) if state and not last]


@pytest.mark.parametrize(
    ("codec", "rate", "suffix", "written"),
    [
        ("aac", 16_000, ".mp4", ".mp4"),
        ("aac", 16_000, ".mkv", ".mkv"),
        ("libopus", 48_000, ".mp4", ".mp4"),
        ("pcm_u8", 8000, ".mkv", ".mkv"),
        ("pcm_u8", 8000, ".mp4", ".mkv"),
    ],
)
def test_sound_stays_with_its_pictures(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path,
    codec: str, rate: int, suffix: str, written: str,
) -> None:  # fmt: skip
    record_with_sound(spool, START, 3, codec, rate)
    record_with_sound(spool, START + 5, 2, codec, rate)
    out = tmp_path / f"clip{suffix}"
    report = cut_clip(folder_store, "cam1", START + 1.5, START + 6.9, out, spool)
    assert report.path.suffix == written
    white, beeps = onsets(report.path)
    assert white == pytest.approx([0, 1, 4, 5], abs=0.02)
    assert beeps == pytest.approx(white, abs=0.1)


def test_a_clip_has_the_sound_of_the_part_that_has_some(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, record_video: object
) -> None:
    record_video(2, size=(96, 64))  # type: ignore[operator]
    record_with_sound(spool, START + 2, 2, "aac", 16_000)
    report = cut_clip(folder_store, "cam1", START, START + 4, tmp_path / "clip.mp4", spool)
    white, beeps = onsets(report.path)
    assert white == pytest.approx([2, 3], abs=0.02)
    assert beeps == pytest.approx(white, abs=0.1)
    assert report.more_paths == ()


@pytest.mark.parametrize("name", ["pcm_alaw", "pcm_mulaw", "g726", "g726le"])
def test_the_sound_of_telephony_codecs_is_kept_in_matroska(
    folder_store: DirectoryStore, spool: Path, tmp_path: Path, name: str
) -> None:
    info, sound = encoded(name, 8000)
    [path] = record(spool, info, sound)
    report = cut_clip(folder_store, "cam1", 0, 4e9, tmp_path / "clip.mp4", spool)
    assert report.path == tmp_path / "clip.mkv"
    assert beep_at(report.path) == pytest.approx(beep_at(path), abs=0.05)
    with av.open(str(path)) as recorded, av.open(str(report.path)) as clip:
        expected = b"".join(bytes(packet) for packet in recorded.demux(audio=0))
        found = b"".join(bytes(packet) for packet in clip.demux(audio=0))
    assert len(found) > 0.95 * len(expected)
    assert found in expected
