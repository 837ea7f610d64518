"""StreamClock of a recording: timestamps that jump, stand still or restart, in real files too."""

import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from codecsight.core.packet import Packet
from codecsight.video.capture.open import open_source
from codecsight.video.capture.timing.clock import StreamClock
from codecsight.video.capture.timing.recording_rule import LOOKAHEAD
from tests.video.scenes import moving_square, write_video

REGULAR = list(range(0, 1200, 40))
"""Thirty pictures, one every 40 ms."""


def play(stamps: list[int], *, spliced: bool = False) -> tuple[list[int | None], Counter[str]]:
    anomalies: Counter[str] = Counter()
    clock = StreamClock(anomalies, live=False)
    clock.start_connection(Fraction(1, 1000), False, 25.0, spliced=spliced)
    times = []
    for index, stamp in enumerate(stamps):
        following = [(at, at) for at in stamps[index + 1 :][:LOOKAHEAD]]
        times.append(clock.rebase(stamp, stamp, 0, following)[1])
    return times, anomalies


def with_stamp(index: int, stamp: int) -> list[int]:
    return [*REGULAR[:index], stamp, *REGULAR[index + 1 :]]


@pytest.mark.parametrize("ahead", [300, 5000, 1_000_000, -40, -300, -1_000_000])
def test_a_single_wrong_timestamp_is_replaced(ahead: int) -> None:
    times, anomalies = play(with_stamp(10, 400 + ahead))
    assert times == REGULAR
    assert anomalies.total() == 1


@pytest.mark.parametrize("count", [2, 5])
def test_several_wrong_timestamps_are_replaced(count: int) -> None:
    wrong = [9000 + at for at in REGULAR[10 : 10 + count]]
    times, _ = play([*REGULAR[:10], *wrong, *REGULAR[10 + count :]])
    assert times == REGULAR


def test_timestamps_that_never_move_follow_the_declared_rate() -> None:
    times, anomalies = play([5000] * 30)
    assert times == REGULAR
    assert anomalies == {"timestamps that stood still": 29}


def test_timestamps_that_stand_still_for_a_while_lose_no_time() -> None:
    times, _ = play([*REGULAR[:10], *[360] * 15, *REGULAR[25:]])
    assert times == REGULAR


def test_a_second_recording_continues_the_first() -> None:
    times, anomalies = play(REGULAR[:20] + REGULAR[:10])
    assert times == REGULAR
    assert anomalies == {"clock jumps": 1}


@pytest.mark.parametrize(("spliced", "gap"), [(True, 0), (False, 60_000)])
def test_a_gap_is_kept_unless_the_format_is_made_to_be_joined(spliced: bool, gap: int) -> None:
    times, _ = play([*REGULAR[:20], *(60_000 + at for at in REGULAR[20:])], spliced=spliced)
    assert times == [*REGULAR[:20], *(gap + at for at in REGULAR[20:])]


def test_uneven_frame_times_are_kept() -> None:
    stamps = [0, 40, 90, 110, 400, 440, 1400, 1410, 2500, 2540]
    assert play(stamps) == (stamps, {})


CLUSTER = rb"\x1f\x43\xb6\x75.{8}\xe7."
"""The head of a cluster in Matroska, up to its timestamp."""


def rewrite(
    source: Path,
    out: Path,
    stamp: Callable[[int, int], int],
    options: dict[str, str] | None = None,
) -> Path:
    """A copy of `source` whose packets have the timestamps `stamp`(index, timestamp)."""
    with av.open(str(source)) as before, av.open(str(out), "w", options=options) as after:
        stream = after.add_stream_from_template(before.streams.video[0])
        for index, packet in enumerate(p for p in before.demux(video=0) if p.size):
            packet.pts = packet.dts = stamp(index, packet.dts or 0)
            packet.stream = stream
            after.mux(packet)
    return out


def times_of(path: Path) -> list[float]:
    packets = [item for item in open_source(str(path)).items() if isinstance(item, Packet)]
    return [float((packet.dts or 0) * packet.time_base) for packet in packets]


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Two seconds at 25 frames per second, without B-frames."""
    pictures = moving_square(50, (2, 0), (8, 80))
    return write_video(tmp_path / "video.mkv", pictures, rate=25, g="10", bf="0")


def test_a_file_whose_timestamps_jump_ahead_once(video: Path, tmp_path: Path) -> None:
    """FFmpeg does not write such a file, so one is changed: each picture is in its own cluster."""
    options = {"cluster_time_limit": "0"}
    data = bytearray(rewrite(video, tmp_path / "a.mkv", lambda _, at: at, options).read_bytes())
    clusters = [found.end() for found in re.finditer(CLUSTER, data, re.DOTALL)]
    [at] = [at for at in clusters if data[at : at + 2] == (800).to_bytes(2)]
    data[at : at + 2] = (800 + 7000).to_bytes(2)
    jump = tmp_path / "jump.mkv"
    jump.write_bytes(data)
    times = times_of(jump)
    assert times == pytest.approx([index / 25 for index in range(50)], abs=0.002)


def test_streams_that_are_glued_together(video: Path, tmp_path: Path) -> None:
    first = rewrite(video, tmp_path / "first.ts", lambda _, at: at)
    second = rewrite(video, tmp_path / "second.ts", lambda _, at: at + 3600_000)
    glued = tmp_path / "glued.ts"
    glued.write_bytes(first.read_bytes() + second.read_bytes() + first.read_bytes())
    times = times_of(glued)
    assert len(times) == 150
    assert times[-1] == pytest.approx(149 / 25, abs=0.2)
    assert max(b - a for a, b in pairwise(times)) < 0.2
