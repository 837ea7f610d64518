"""Rates, sizes and shares as `codecsight doctor` words them."""

import pytest

from codecsight.cli.diagnosis import words


@pytest.mark.parametrize(
    ("size", "fps", "expected"),
    [
        ((1920, 1080), 25.0, "1080p25"),
        ((640, 360), 29.97, "360p30"),
        ((1366, 768), 12.5, "768p12.5"),
        ((704, 576), 25.0, "704x576 at 25 fps"),
        ((1080, 1920), 15.0, "1080x1920 at 15 fps"),
        ((1280, 720), 0.2, "1280x720, a picture every 5 s"),
        ((1280, 720), 0.0, "1280x720"),
    ],
)
def test_size_and_rate(size: tuple[int, int], fps: float, expected: str) -> None:
    assert words.size_and_rate(*size, fps) == expected


@pytest.mark.parametrize(
    ("seconds", "at_least", "expected"),
    [
        ((2.0, 2.0, 2.0), 15.0, "GOP 2 s"),
        ((1.96, 2.0, 2.04), 15.0, "GOP 2 s"),
        ((2.0, 12.0, 4.0), 20.0, "GOP 2-12 s"),
        ((), 61.3, "GOP over 61.3 s"),
    ],
)
def test_gop(seconds: tuple[float, ...], at_least: float, expected: str) -> None:
    assert words.gop(seconds, at_least) == expected


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (64_000.0, "64 kbit/s"),
        (999_700.0, "1 Mbit/s"),
        (4_230_000.0, "4.2 Mbit/s"),
        (112_000_000.0, "112 Mbit/s"),
    ],
)
def test_bit_rate(rate: float, expected: str) -> None:
    assert words.bit_rate(rate) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0%"),
        (0.0004, "under 0.1%"),
        (0.0125, "1.2%"),
        (0.05, "5%"),
        (0.0999, "10%"),
        (0.314, "31%"),
        (1.0, "100%"),
        (None, "unknown"),
    ],
)
def test_share(value: float | None, expected: str) -> None:
    assert words.share(value) == expected


def test_shares_come_largest_first_without_zeros() -> None:
    assert words.shares({"I": 2, "P": 98, "B": 0}, 100) == "98% P, 2% I"
