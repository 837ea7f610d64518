"""Result of probing a source, with advice on the camera's settings."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

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
    `measured_fps` leaves out `pauses`: the seconds of each interval that was far longer than usual.
    `gop_frames` and `gop_seconds` are the distances between key frames, `key_frame_wait_s` is how
    long the first one took to come. `bitrate` is in bits per second, `decode_ms` is CPU time per
    frame on one thread, and `streams_per_core` the number of such streams one core can decode.
    `motion` and `intra`: whether the codec exports motion vectors and intra blocks. `polled_s`: the
    interval at which a still picture is fetched, 0 for video. `sound`: the audio track and whether
    it can be recorded, empty if there is none. `advice` holds one sentence per recommended change
    of settings.
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
    pauses: tuple[float, ...]
    gop_frames: tuple[int, ...]
    gop_seconds: tuple[float, ...]
    key_frame_wait_s: float
    bitrate: float
    motion: bool
    intra: bool
    decode_ms: float
    streams_per_core: float
    anomalies: dict[str, int]
    polled_s: float = 0.0
    sound: str = ""
    advice: list[str] = field(default_factory=list)


_CODECS = {
    "h264": "H.264",
    "hevc": "H.265",
    "mpeg4": "MPEG-4",
    "mjpeg": "MJPEG",
    "av1": "AV1",
    "vp8": "VP8",
    "vp9": "VP9",
}


def codec_name(codec: str) -> str:
    """The codec's name on a camera's settings page: H.264."""
    return _CODECS.get(codec, codec)


class Finding(NamedTuple):
    """Something about a source that its owner should know: in a few words, and with advice.

    A `minor` one costs CPU or bandwidth at most. It is left out of one line if `short` is empty.
    """

    short: str
    advice: str
    minor: bool = False


def advise(report: ProbeReport) -> list[str]:
    """Recommended changes of the camera's settings or its network."""
    return [finding.advice for finding in findings(report)]


def findings(report: ProbeReport) -> list[Finding]:
    """What should be changed in the camera's settings or its network, and why."""
    return [
        *_signal_findings(report),
        *_gop_findings(report),
        *_picture_findings(report),
        *_cost_findings(report),
        *_loss_findings(report),
    ]


def _signal_findings(report: ProbeReport) -> Iterator[Finding]:
    if report.polled_s:
        yield Finding(
            "still picture",
            f"The URL gives a still picture, which is fetched every {report.polled_s:g} s: what "
            "happens in between is not seen; use the camera's RTSP URL for video.",
        )
        return
    if report.motion or report.frames < 2:
        return
    codec = codec_name(report.codec)
    if set(report.frame_types) == {"I"}:
        yield Finding(
            "set the camera to H.264",
            f"Every picture is coded by itself ({codec}), so there are no motion vectors "
            "and the stream is large: set the camera to H.264.",
            minor=True,
        )
    else:
        yield Finding(
            "H.264 would give motion vectors",
            f"No motion vectors can be read from {codec}, so changes are detected from "
            "pixels alone: set the camera to H.264 to use motion vectors.",
            minor=True,
        )


def _gop_findings(report: ProbeReport) -> Iterator[Finding]:
    longest = max(report.gop_seconds, default=0.0)
    if report.key_frame_wait_s > max(longest, LONG_GOP_S):
        yield Finding(
            "key frames are rare",
            f"The first key frame came after {report.key_frame_wait_s:.0f} s: as long can watching "
            "start and damage end; set the I-frame interval to 2-4 s.",
        )
    elif not report.gop_seconds and report.seconds >= LONG_GOP_S:
        yield Finding(
            "key frames are rare",
            f"No second key frame came in {report.seconds:.0f} s: recordings can only be cut at "
            "key frames, and damage lasts until the next one; set the I-frame interval to 2-4 s.",
        )
    elif longest > LONG_GOP_S:
        yield Finding(
            "key frames are rare",
            f"Key frames are up to {longest:.0f} s apart (a 'smart' codec?): "
            "damage lasts until the next one; set the I-frame interval to 2-4 s.",
        )
    if report.b_frames:
        advice = "B-frames delay every picture: turn them off in the camera."
        yield Finding("turn B-frames off", advice, minor=True)


def _picture_findings(report: ProbeReport) -> Iterator[Finding]:
    if len(report.shown_sizes) > 1:
        sizes = ", ".join(f"{width}x{height}" for width, height in report.shown_sizes)
        yield Finding(
            "the picture's size changes",
            f"The picture changed its size ({sizes}): each change of shape costs a picture with "
            "every cell and starts a new window; set a fixed resolution.",
        )
    if report.frames == 1:
        yield Finding(
            "only one frame came", "Only one frame came, which tells no rate and no cost."
        )
    if 0 < report.measured_fps < SAMPLED_FPS:
        yield Finding(
            "few pictures",
            f"It sends {report.measured_fps:.2g} pictures per second, fewer than the "
            f"{SAMPLED_FPS:g} that are sampled: what happens between them is not seen.",
        )


def _cost_findings(report: ProbeReport) -> Iterator[Finding]:
    if report.width * report.height > LARGE_PIXELS:
        yield Finding(
            "use the sub-stream",
            f"{report.width}x{report.height} is larger than the model's input: use the camera's "
            "sub-stream (360p to 720p), which decodes many times faster.",
            minor=True,
        )
    declared, measured = report.declared_fps, report.measured_fps
    if declared and measured and abs(measured - declared) > 0.1 * declared:
        yield Finding(
            "",
            f"It declares {declared:.3g} frames per second and sends {measured:.3g}; only "
            "its timestamps are used.",
            minor=True,
        )


def _loss_findings(report: ProbeReport) -> Iterator[Finding]:
    if report.pauses:
        yield Finding(
            "frames stop for seconds",
            f"No frame came for up to {max(report.pauses):.0f} s ({len(report.pauses)} times): "
            "check the camera's load and its network.",
        )
    if times := report.anomalies.get("connections lost or refused", 0):
        yield Finding(
            "the connection breaks", f"The connection broke or was refused {times} times."
        )
    lost = sum(report.anomalies.get(name, 0) for name in ("packets lost", "corrupt packets"))
    if lost:
        advice = f"Packets were lost {lost} times: use TCP, or check the network."
        yield Finding("packets are lost", advice)
    if errors := report.anomalies.get("decode errors", 0):
        yield Finding(
            "damaged",
            f"{errors} packets could not be decoded: the recording or the network is damaged.",
        )
