"""Codecs, sizes, rates and shares as a person reads them."""

from collections.abc import Mapping, Sequence
from statistics import median


def size_and_rate(width: int, height: int, fps: float) -> str:
    """`1080p25` for a picture of 16:9, otherwise `704x576 at 25 fps`."""
    if not fps:
        return f"{width}x{height}"
    if 0 < fps < 1:
        return f"{width}x{height}, a picture every {duration(1 / fps)}"
    if abs(9 * width - 16 * height) <= 16 and width > height:
        return f"{height}p{number(fps)}"
    return f"{width}x{height} at {number(fps)} fps"


def gop(seconds: Sequence[float], at_least: float) -> str:
    """`GOP 2 s`, `GOP 2-12 s` or, where no GOP was seen whole, `GOP over 10 s`."""
    if not seconds:
        return f"GOP over {duration(at_least)}"
    low, high, usual = min(seconds), max(seconds), median(seconds)
    if high - low <= 0.1 * usual:
        return f"GOP {duration(usual)}"
    return f"GOP {number(low)}-{duration(high)}"


def number(value: float) -> str:
    """At most three digits that matter: 0.25, 12.5, 1920."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


def duration(seconds: float) -> str:
    """`0.04 s`, `2.5 s`, `90 s`."""
    return f"{number(seconds)} s"


def bit_rate(bits_per_second: float) -> str:
    """`850 kbit/s`, `4.2 Mbit/s`."""
    if bits_per_second < 999_500:
        return f"{bits_per_second / 1e3:.0f} kbit/s"
    return f"{number(round(bits_per_second / 1e6, 1))} Mbit/s"


def share(value: float | None) -> str:
    """`31%`; small shares keep a digit: `0.4%`, `under 0.1%`."""
    if value is None:
        return "unknown"
    if 0 < value < 0.001:
        return "under 0.1%"
    return f"{value:.1%}" if 0 < value < 0.0995 and round(1000 * value) % 10 else f"{value:.0%}"


def shares(counts: Mapping[str, int], total: int) -> str:
    """`98% P, 2% I`, the largest first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{share(count / total)} {name}" for name, count in ordered if count)
