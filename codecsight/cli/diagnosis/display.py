"""The result of `codecsight doctor` as text: a verdict in one line, a table, and advice."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from codecsight.cli.diagnosis import words
from codecsight.video.report import Finding, codec_name

Row = dict[str, Any]


def verdict(row: Row, findings: Sequence[Finding]) -> str:
    """`fine: H.264 1080p25, GOP 2 s, 15 streams per core; use the sub-stream`.

    It begins with "fine" unless one of the findings is more than minor.
    """
    width, height = row["shown_sizes"][-1]
    rate = words.size_and_rate(width, height, 0.0 if row["polled_s"] else row["measured_fps"])
    facts = [f"{codec_name(row['codec'])} {rate}"]
    if row["frames"] > 1 and not row["polled_s"]:
        facts.append(_gop(row))
    if row["streams_per_core"]:
        facts.append(_streams(row["streams_per_core"]))
    serious = [each for each in findings if not each.minor]
    minor = [each for each in findings if each.minor]
    parts = [", ".join(facts), *(each.short for each in (*serious, *minor) if each.short)]
    return f"{'needs attention' if serious else 'fine'}: {'; '.join(parts)}"


def table(row: Row) -> Table:
    """The measurements with their units."""
    shown = Table(show_header=False, box=None)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, value in _lines(row).items():
        shown.add_row(name, Text(value))
    return shown


def _lines(row: Row) -> dict[str, str]:
    frames = "1 frame" if row["frames"] == 1 else f"{row['frames']} frames"
    return {
        "source": row["url"],
        "measured": f"{words.duration(row['seconds'])}, {frames}",
        "video": _video(row),
        "sound": row["sound"] or "none",
        "model input": _model_input(row),
        "frame rate": _frame_rate(row),
        "key frames": _key_frames(row),
        "frame types": words.shares(row["frame_types"], row["frames"]),
        "bit rate": words.bit_rate(row["bitrate"]) if row["bitrate"] else "unknown",
        "codec signals": _signals(row),
        "CPU per frame": _cpu(row),
        "capacity": _capacity(row),
        "cells sent": _cells(row),
        "noise": _noise(row["noise"]),
        "camera motion": _motion(row["camera_moves"]),
        "faults": ", ".join(f"{count} {name}" for name, count in row["anomalies"].items())
        or "none",
    }


def _video(row: Row) -> str:
    parts = [
        " ".join(filter(None, (codec_name(row["codec"]), row["profile"]))),
        f"{row['width']}x{row['height']}",
    ]
    if row["orientation"] != "upright":
        parts.append(row["orientation"])
    if row["sample_aspect"] != "1:1":
        parts.append(f"pixels {row['sample_aspect']}")
    sizes = [f"{width}x{height}" for width, height in row["shown_sizes"]]
    if sizes != [f"{row['width']}x{row['height']}"]:
        parts.append(f"shown as {', then '.join(sizes)}")
    return ", ".join(parts)


def _model_input(row: Row) -> str:
    width, height = row["model_input"]
    enough = "large enough" if row["large_enough"] else "too small: use a larger stream"
    return f"{width}x{height} (built-in model); the picture is {enough}"


def _frame_rate(row: Row) -> str:
    if not row["measured_fps"]:
        return "unknown: only one frame came"
    parts = [f"{words.number(row['measured_fps'])} per second"]
    if row["polled_s"]:
        parts.append(f"a still picture, fetched every {words.duration(row['polled_s'])}")
    if row["declared_fps"]:
        parts.append(f"declared {words.number(row['declared_fps'])}")
    if row["pauses"]:
        parts.append(f"pauses of {', '.join(words.duration(each) for each in row['pauses'][:5])}")
    return ", ".join(parts)


def _gop(row: Row) -> str:
    if set(row["gop_frames"]) == {1}:
        return "key frames only"
    return words.gop(row["gop_seconds"], max(row["seconds"], row["key_frame_wait_s"]))


def _key_frames(row: Row) -> str:
    if row["frames"] == 1:
        return "unknown: only one frame came"
    text = _gop(row)
    if (frames := row["gop_frames"]) and set(frames) != {1}:
        low, high = min(frames), max(frames)
        text += f" ({low if low == high else f'{low}-{high}'} frames)"
    if row["key_frame_wait_s"] >= 1:
        text += f", the first after {words.duration(row['key_frame_wait_s'])}"
    return text


def _signals(row: Row) -> str:
    signals = [
        name for key, name in (("motion", "motion vectors"), ("intra", "intra blocks")) if row[key]
    ]
    return ", ".join(signals) or "none: changes are found from pixels alone"


def _cpu(row: Row) -> str:
    parts = [f"{words.number(row['decode_ms'])} ms decoding"]
    if row["tracking_ms"] is not None:
        parts.append(f"{words.number(row['tracking_ms'])} ms finding changes")
    return ", ".join(parts)


def _streams(count: float) -> str:
    if count >= 1:
        return f"{count:.0f} streams per core" if count >= 1.5 else "1 stream per core"
    return f"{words.number(1 / count)} cores per stream"


def _capacity(row: Row) -> str:
    return _streams(row["streams_per_core"]) if row["streams_per_core"] else "unknown"


def _cells(row: Row) -> str:
    if row["kept_share"] is None:
        return "unknown: too short"
    reasons = words.shares(row["reasons"], row["cells"])
    text = f"{words.share(row['kept_share'])} ({reasons})"
    if row["changed_share"] is not None:
        text += f"; {words.share(row['changed_share'])} change between anchors"
    return text


def _noise(level: float | None) -> str:
    if level is None:
        return "unknown: too few frames, or the camera moves"
    word = "low" if level < 2 else "moderate" if level <= 6 else "high"
    return f"{level:.1f} of 255 grey levels ({word})"


def _motion(share: float | None) -> str:
    if share is None:
        return "unknown: no motion vectors"
    return f"in {words.share(share)} of the frames" if share else "none"
