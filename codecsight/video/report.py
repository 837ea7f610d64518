"""Result of probing a source, with advice on the camera's settings."""

from collections.abc import Iterator
from dataclasses import dataclass, field

LONG_GOP_S = 10.0
LARGE_PIXELS = 1280 * 720
SAMPLED_FPS = 2.0
"""Default sampling rate of the analysis, in pictures per second."""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """Properties of a source, measured over `seconds` of stream time.

    `width` and `height` are those of the last coded picture. Players show it as `orientation` says
    ("upright", "turned 90° clockwise") and with pixels of the shape `sample_aspect` ("1:1", "4:3"),
    which gives `shown_sizes`: (width, height), with every size that the source changed to.
    `gop_frames` and `gop_seconds` are the distances between key frames, `bitrate` is in bits per
    second, `decode_ms` is CPU time per frame on one thread, and `streams_per_core` the number of
    such streams one core can decode. `motion` and `intra`: whether the codec exports motion
    vectors and intra blocks. `advice` holds one sentence per recommended change of settings.
    """

    url: str
    codec: str
    profile: str | None
    width: int
    height: int
    orientation: str
    sample_aspect: str
    shown_sizes: tuple[tuple[int, int], ...]
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
    """Recommended changes of the camera's settings or its network."""
    return [
        *_signal_advice(report),
        *_gop_advice(report),
        *_picture_advice(report),
        *_cost_advice(report),
        *_loss_advice(report),
    ]


def _signal_advice(report: ProbeReport) -> Iterator[str]:
    if not report.motion and set(report.frame_types) == {"I"} and report.frames > 1:
        yield (
            f"Every picture is coded by itself ({report.codec}), so there are no motion vectors "
            "and the stream is large: set the camera to H.264."
        )
    elif not report.motion and report.frames > 1:
        yield (
            f"No motion vectors can be read from {report.codec}, so changes are detected from "
            "pixels alone: set the camera to H.264 to use motion vectors."
        )


def _gop_advice(report: ProbeReport) -> Iterator[str]:
    if not report.gop_seconds and report.seconds >= LONG_GOP_S:
        yield (
            f"No second key frame came in {report.seconds:.0f} s: recordings can only be cut at "
            "key frames, and damage lasts until the next one; set the I-frame interval to 2-4 s."
        )
    elif report.gop_seconds and max(report.gop_seconds) > LONG_GOP_S:
        yield (
            f"Key frames are up to {max(report.gop_seconds):.0f} s apart (a 'smart' codec?): "
            "damage lasts until the next one; set the I-frame interval to 2-4 s."
        )
    if report.b_frames:
        yield "B-frames delay every picture: turn them off in the camera."


def _picture_advice(report: ProbeReport) -> Iterator[str]:
    if len(report.shown_sizes) > 1:
        sizes = ", ".join(f"{width}x{height}" for width, height in report.shown_sizes)
        yield (
            f"The picture changed its size ({sizes}): each change of shape costs a picture with "
            "every cell and starts a new window; set a fixed resolution."
        )
    if 0 < report.measured_fps < SAMPLED_FPS:
        yield (
            f"It sends {report.measured_fps:.2g} pictures per second, fewer than the "
            f"{SAMPLED_FPS:g} that are sampled: what happens between them is not seen."
        )


def _cost_advice(report: ProbeReport) -> Iterator[str]:
    if report.width * report.height > LARGE_PIXELS:
        yield (
            f"{report.width}x{report.height} is larger than the model's input: use the camera's "
            "sub-stream (360p to 720p), which decodes many times faster."
        )
    declared, measured = report.declared_fps, report.measured_fps
    if declared and measured and abs(measured - declared) > 0.1 * declared:
        yield (
            f"It declares {declared:.3g} frames per second and sends {measured:.3g}; only "
            "its timestamps are used."
        )


def _loss_advice(report: ProbeReport) -> Iterator[str]:
    lost = sum(report.anomalies.get(name, 0) for name in ("packets lost", "corrupt packets"))
    if lost:
        yield f"Packets were lost {lost} times: use TCP, or check the network."
    if errors := report.anomalies.get("decode errors", 0):
        yield f"{errors} packets could not be decoded: the recording or the network is damaged."
