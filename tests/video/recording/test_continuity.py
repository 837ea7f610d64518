"""Segments end where the wall clock is set or pictures are missing."""

import dataclasses
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from codecsight.archive.segment import Segment
from codecsight.archive.spool import finished_segments
from codecsight.core.packet import Packet
from codecsight.video.recording.continuity import Continuity
from codecsight.video.recording.recorder import Recorder
from tests.video.scenes import START, encode, moving_square

RATE = 10
Moment = Callable[[float], float]


def same(time: float) -> float:
    return time


def record(folder: Path, wall: Moment = same, stream: Moment = same) -> list[tuple[Path, Segment]]:
    """Record six seconds. `wall` and `stream` give both clocks in seconds, from the true time."""
    pictures = moving_square(6 * RATE, (2, 0), (8, 80))
    info, packets = encode(pictures, rate=RATE, gop=20)
    recorder = Recorder(folder, "cam1", 60.0)
    recorder.write(info)
    for index, packet in enumerate(packets):
        time = index / RATE
        stamp = round(stream(time) / packet.time_base)
        recorder.write(
            dataclasses.replace(packet, pts=stamp, dts=stamp, capture_time=START + wall(time))
        )
    recorder.close()
    assert recorder.stats.packets == 6 * RATE, "every packet is recorded"
    return sorted(finished_segments(folder / "cam1"), key=lambda each: each[1].key)


def spans(rows: list[tuple[Path, Segment]]) -> list[tuple[float, float]]:
    return [(round(row.start - START, 3), round(row.end - START, 3)) for _, row in rows]


def footage_s(path: Path) -> float:
    with av.open(str(path)) as container:
        times = [float(p.pts * p.time_base) for p in container.demux(video=0) if p.size]
    return max(times) - min(times) + 1 / RATE


CLOCKS: dict[str, tuple[Moment, Moment, list[tuple[float, float]]]] = {
    "as they should": (same, same, [(0, 6)]),
    "set forward an hour": (lambda t: t + 3600 * (t >= 3), same, [(0, 3), (3603, 3606)]),
    "set forward in mid-GOP": (
        lambda t: t + 150 * (t >= 2.5),
        same,
        [(0, 2.5), (152.5, 156)],
    ),
    "set back an hour": (lambda t: t - 3600 * (t >= 4.5), same, [(-3595.5, -3594), (0, 4.5)]),
    "set by NTP": (lambda t: t * 1.0005, same, [(0, 6.003)]),
    "camera away for 20 s": (
        lambda t: t + 20 * (t >= 3),
        lambda t: t + 20 * (t >= 3),
        [(0, 3), (23, 26)],
    ),
    "camera away for 2 s": (
        lambda t: t + 2 * (t >= 3),
        lambda t: t + 2 * (t >= 3),
        [(0, 8)],
    ),
    "stream clock ahead": (same, lambda t: t + 300 * (t >= 3), [(0, 3), (3, 6)]),
    "five seconds at once": (lambda t: max(0, t - 5), same, [(0, 1.1)]),
}


@pytest.mark.parametrize("case", CLOCKS)
def test_rows_where_the_clocks_move(case: str, tmp_path: Path) -> None:
    wall, stream, expected = CLOCKS[case]
    rows = record(tmp_path, wall, stream)
    assert len(rows) == len(expected)
    for found, span in zip(sorted(spans(rows)), expected, strict=True):
        assert found == pytest.approx(span, abs=0.11)
    if case != "camera away for 2 s":
        for path, row in rows:
            assert row.end - row.start <= footage_s(path) + 0.11


def test_the_last_picture_before_a_pause_does_not_last_until_its_end(tmp_path: Path) -> None:
    info, packets = encode(moving_square(20, (2, 0), (8, 80)), rate=RATE, gop=20)
    long = round(3600 / packets[-1].time_base)
    recorder = Recorder(tmp_path, "cam1", 60.0)
    for item in [info, *packets[:-1], dataclasses.replace(packets[-1], duration=long)]:
        recorder.write(item)
    recorder.close()
    [(_, row)] = finished_segments(tmp_path / "cam1")
    assert row.end - row.start == pytest.approx(2.9, abs=0.2)


@pytest.mark.parametrize("interval_s", [5, 10, 30])
def test_a_slow_camera_is_one_recording(interval_s: int) -> None:
    continuity = Continuity()
    continuity.start(25.0)
    packets = [
        Packet(b"x", 1000 * at, 1000 * at, 0, Fraction(1, 1000), True, START + at)
        for at in range(0, 40 * interval_s, interval_s)
    ]
    reasons = [continuity.add(packet) for packet in packets]
    assert [bool(reason) for reason in reasons].count(True) <= 1
