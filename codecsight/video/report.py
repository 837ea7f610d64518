"""What a source was seen to send, and what a person might change on it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

LONG_GOP_S = 10.0
LARGE_PIXELS = 1280 * 720


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was seen of a source during `seconds` of its own time.

    `gop_frames` and `gop_seconds` are the distances from key frame to key frame, `bitrate` bits per
    second, `decode_ms` CPU time for a frame on one thread, and `streams_per_core` how many such
    streams one core can decode. `motion` and `intra` say whether the codec tells about them, and
    `advice` is sentences a person can act on, none where all is well.
    """

    url: str
    codec: str
    profile: str | None
    width: int
    height: int
    seconds: float
    frames: int
    frame_types: dict[str, int]
    b_frames: bool
    declared_fps: float
    measured_fps: float
    gop_frames: tuple[int, ...]
    gop_seconds: tuple[float, ...]
    bitrate: float
    motion: bool
    intra: bool
    decode_ms: float
    streams_per_core: float
    anomalies: dict[str, int]
    advice: list[str] = field(default_factory=list)


def advise(report: ProbeReport) -> list[str]:
    """What the report comes to."""
    return [
        *_about_signals(report),
        *_about_gops(report),
        *_about_cost(report),
        *_about_losses(report),
    ]


def _about_signals(report: ProbeReport) -> Iterator[str]:
    if not report.motion and set(report.frame_types) == {"I"} and report.frames > 1:
        yield (
            f"Every picture is coded by itself ({report.codec}), so the codec says nothing of "
            "motion and the stream is large: set the camera to H.264."
        )
    elif not report.motion and report.frames > 1:
        yield (
            f"{report.codec} gives no motion vectors here, so changes are found from pixels "
            "alone: set the camera to H.264 to make use of them."
        )


def _about_gops(report: ProbeReport) -> Iterator[str]:
    if not report.gop_seconds and report.seconds >= LONG_GOP_S:
        yield (
            f"No second key frame came in {report.seconds:.0f} s: recordings can only be cut at "
            "key frames and damage lasts until the next; set the I-frame interval to 2-4 s."
        )
    elif report.gop_seconds and max(report.gop_seconds) > LONG_GOP_S:
        yield (
            f"Key frames are up to {max(report.gop_seconds):.0f} s apart (a 'smart' codec?): "
            "damage lasts until the next one; set the I-frame interval to 2-4 s."
        )
    if report.b_frames:
        yield "B-frames delay every picture: cameras are better watched without them."


def _about_cost(report: ProbeReport) -> Iterator[str]:
    if report.width * report.height > LARGE_PIXELS:
        yield (
            f"{report.width}x{report.height} is more than the model sees: take the camera's "
            "sub-stream (360p to 720p), which decodes many times faster."
        )
    declared, measured = report.declared_fps, report.measured_fps
    if declared and measured and abs(measured - declared) > 0.1 * declared:
        yield (
            f"It declares {declared:.3g} frames per second and sends {measured:.3g}; only "
            "its timestamps are believed."
        )


def _about_losses(report: ProbeReport) -> Iterator[str]:
    lost = sum(report.anomalies.get(what, 0) for what in ("packets lost", "corrupt packets"))
    if lost:
        yield f"Packets were lost {lost} times: use TCP, or look at the network."
    if errors := report.anomalies.get("decode errors", 0):
        yield f"{errors} packets could not be decoded: the recording or the network is damaged."
