"""StreamClock of a live source: stream time stays near the time of arrival, whatever cameras do."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import pytest

from codecsight.video.capture.timing.clock import StreamClock

RTP = Fraction(1, 90_000)
FPS = 25
Arrival = tuple[float, float]
"""When a packet arrives, and its timestamp, in seconds."""


@dataclass
class Run:
    """What the clock makes of packets: `times` and `arrivals` in seconds since the first packet."""

    times: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    anomalies: Counter[str] = field(default_factory=Counter)

    @property
    def leads(self) -> list[float]:
        return [time - at for time, at in zip(self.times, self.arrivals, strict=True)]

    @property
    def longest_step(self) -> float:
        return max(b - a for a, b in pairwise(self.times))


def run(packets: Iterable[Arrival], time_base: Fraction = RTP) -> Run:
    result, now = Run(), 0.0
    clock = StreamClock(result.anomalies, live=True, now=lambda: now)
    clock.start_connection(time_base, reordered=False)
    for arrival, stamp in packets:
        now = arrival
        ticks = round(stamp / time_base)
        pts, _ = clock.rebase(ticks, ticks, 0)
        assert pts is not None
        result.times.append(float(pts * time_base))
        result.arrivals.append(arrival)
        result.late.append(clock.late_s)
    assert all(a < b for a, b in pairwise(result.times))
    result.arrivals = [at - result.arrivals[0] for at in result.arrivals]
    return result


def camera(
    stamp: Callable[[int, float], float] = lambda _, time: time,
    delay: Callable[[float], float] = lambda _: 0.0,
    seconds: float = 60.0,
    fps: float = FPS,
) -> list[Arrival]:
    """Packets of a camera whose network delays them by some 10 ms, and by `delay` of their time."""
    dice, last = random.Random(5), 0.0
    packets = []
    for index in range(round(seconds * fps)):
        time = index / fps
        last = max(last + 1e-4, time + dice.expovariate(100) + delay(time))
        packets.append((last, stamp(index, time)))
    return packets


FAULTS: dict[str, Callable[[int, float], float]] = {
    "never move": lambda _, __: 7.0,
    "stop moving": lambda _, time: min(time, 16.0),
    "stop for 8 s": lambda _, time: 16.0 if 16 < time < 24 else time,
    "ahead 0.4 s once": lambda i, time: time + 0.4 * (i == 500),
    "ahead 6 s once": lambda i, time: time + 6 * (i == 500),
    "ahead an hour once": lambda i, time: time + 3600 * (i == 500),
    "back 3 s once": lambda i, time: time - 3 * (i == 500),
    "ahead 6 s every 3 s": lambda i, time: time + 6 * (i % 75 == 50),
    "ahead 7 s for six pictures": lambda i, time: time + 7 * (500 <= i < 506),
    "ahead 2 s for good": lambda _, time: time + 2 * (time >= 20),
    "ahead 1000 s for good": lambda _, time: time + 1000 * (time >= 20),
    "back an hour for good": lambda _, time: time + 3600 * (time < 20),
    "restart every 11 s": lambda _, time: time % 11,
    "at random": lambda i, _: random.Random(i).uniform(0, 900),
    "wrap at 32 bits": lambda _, time: (time + 2**32 / 90_000 - 20) % (2**32 / 90_000),
    "wrap at 33 bits": lambda _, time: (time + 2**33 / 90_000 - 20) % (2**33 / 90_000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_stream_time_stays_near_arrival_where_timestamps(fault: str) -> None:
    result = run(camera(FAULTS[fault]))
    assert min(result.leads) > -0.2
    assert max(result.leads) < 0.2
    assert result.longest_step < 0.2, "no hole where there is none"
    assert result.anomalies.total() >= 1


def test_one_picture_with_a_wrong_timestamp_changes_no_other() -> None:
    result = run(camera(FAULTS["ahead 6 s every 3 s"]))
    right = [index for index in range(len(result.times)) if index % 75 != 50]
    assert [result.times[i] for i in right] == pytest.approx([i / FPS for i in right], abs=0.001)
    assert result.anomalies == {"clock jumps": 20}


@pytest.mark.parametrize(
    ("speed", "least", "most"),
    [(0.4, -6, 0.1), (0.9, -3, 0.1), (0.999, -0.5, 0.1), (1.001, -0.1, 0.5), (2.0, -0.1, 3.0)],
)
def test_a_clock_at_the_wrong_speed_is_followed(speed: float, least: float, most: float) -> None:
    """Twice the speed: timestamps count 25 pictures a second, and 50 come."""
    result = run(camera(lambda _, time: speed * time, seconds=120))
    assert least < min(result.leads)
    assert max(result.leads) < most
    assert result.leads[-1] == pytest.approx(0, abs=0.6 if abs(speed - 1) < 0.2 else 2.0)
    assert result.longest_step < 0.4


def good(result: Run) -> bool:
    return not result.anomalies and result.times == pytest.approx(
        [index / FPS for index in range(len(result.times))], abs=0.001
    )


def test_a_network_that_stalls_changes_no_time() -> None:
    result = run(camera(delay=lambda time: max(0.0, 24 - time) if time > 20 else 0.0))
    assert good(result)
    assert max(result.late) == pytest.approx(4, abs=0.1), "so that wall times can be corrected"


def test_what_a_server_has_kept_comes_ahead_of_its_time() -> None:
    """Ten seconds of the past at once, as from a cache of key frames, then as a camera."""
    result = run([(max(10.0, at), stamp) for at, stamp in camera()])
    assert good(result)
    assert max(result.leads) == pytest.approx(10, abs=0.1)


def test_segments_of_six_seconds_that_come_at_once_keep_their_times() -> None:
    """As over HLS: three segments at first, then one whenever it is complete."""
    packets, now = [], 0.0
    for index in range(120 * FPS):
        segment = index // (6 * FPS)
        now = max(now + 0.002, (segment - 2) * 6 + (segment % 3) * 0.4 if segment > 2 else 0.0)
        packets.append((now, index / FPS))
    result = run(packets)
    assert not result.anomalies
    assert result.times == pytest.approx([i / FPS for i in range(120 * FPS)], abs=0.5)


def test_a_pause_of_the_camera_is_kept() -> None:
    packets = [each for each in camera() if not 20 < each[1] <= 24]
    result = run(packets)
    assert not result.anomalies
    assert result.longest_step == pytest.approx(4.04, abs=0.01)


@pytest.mark.parametrize("fps", [0.2, 1, 7.5])
def test_slow_cameras_keep_their_times(fps: float) -> None:
    result = run(camera(seconds=200, fps=fps), time_base=Fraction(1, 1000))
    assert result.times == pytest.approx([i / fps for i in range(len(result.times))], abs=0.001)
    assert not result.anomalies
