"""TokenBucket: the rate and the burst."""

import pytest

from codecsight.uplink.token_bucket import TokenBucket


def admitted(bucket: TokenBucket, chunks: int, interval: float) -> list[float]:
    """Times at which chunks that arrive every `interval` seconds are admitted, in order."""
    times, now = [], 0.0
    for number in range(chunks):
        now = max(now, number * interval)
        now += bucket.reserve(now)
        times.append(now)
    return times


def test_a_stream_within_the_rate_never_waits() -> None:
    assert admitted(TokenBucket(2.0, burst=1), 20, interval=0.5) == [n / 2 for n in range(20)]


def test_a_flood_is_admitted_at_the_rate() -> None:
    times = admitted(TokenBucket(2.0, burst=4), 100, interval=0.0)
    assert times[:4] == [0.0] * 4
    assert times[-1] == pytest.approx(96 / 2)


def test_a_pause_allows_one_burst() -> None:
    bucket = TokenBucket(1.0, burst=3)
    assert admitted(bucket, 6, interval=0.0) == [0, 0, 0, 1, 2, 3]
    later = [bucket.reserve(1000.0) for _ in range(4)]
    assert later == [0, 0, 0, 1]
