import pytest

from codecsight.uplink.token_bucket import TokenBucket


def through(pace: TokenBucket, chunks: int, every: float) -> list[float]:
    """When chunks that come so often are let through, one waiting for the other."""
    passed, now = [], 0.0
    for number in range(chunks):
        now = max(now, number * every)
        now += pace.reserve(now)
        passed.append(now)
    return passed


def test_who_keeps_to_the_rate_never_waits() -> None:
    assert through(TokenBucket(2.0, burst=1), 20, every=0.5) == [n / 2 for n in range(20)]


def test_a_flood_comes_at_the_agreed_rate() -> None:
    passed = through(TokenBucket(2.0, burst=4), 100, every=0.0)
    assert passed[:4] == [0.0] * 4
    assert passed[-1] == pytest.approx(96 / 2)


def test_a_pause_earns_a_burst_and_no_more() -> None:
    pace = TokenBucket(1.0, burst=3)
    assert through(pace, 6, every=0.0) == [0, 0, 0, 1, 2, 3]
    later = [pace.reserve(1000.0) for _ in range(4)]
    assert later == [0, 0, 0, 1]
