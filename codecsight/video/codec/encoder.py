"""Encoder configured like a camera's, for procedural scenes and tests."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo

RTP_CLOCK = Fraction(1, 90_000)
MPEG4_CLOCK = Fraction(1, 60_000)  # MPEG-4 stores the denominator in 16 bits
ENCODERS = {"h264": "libx264", "hevc": "libx265", "mpeg4": "mpeg4", "mjpeg": "mjpeg"}


@dataclass(frozen=True, slots=True)
class EncoderProfile:
    """Encoder settings of a camera.

    `gop` is the number of frames from key frame to key frame. Either `bitrate` in bits per second
    is given, or `crf` sets a constant quality (x264's scale, smaller is better).
    """

    codec: Literal["h264", "hevc", "mpeg4", "mjpeg"] = "h264"
    gop: int = 50
    b_frames: int = 0
    bitrate: int | None = None
    crf: float = 23.0
    preset: str = "veryfast"


class CameraEncoder:
    """Encodes pictures of one size with one reference and a fixed GOP, as cameras do.

    Without B-frames every picture gives its packet at once. `rate` is only the declared frame
    rate; the real times are given to `encode`. Raises CodecSightError for an odd size.
    """

    def __init__(
        self, width: int, height: int, rate: float, profile: EncoderProfile | None = None
    ) -> None:
        if width % 2 or height % 2:
            raise CodecSightError(f"a camera's picture has even sides, not {width}x{height}")
        profile = profile or EncoderProfile()
        self._base = MPEG4_CLOCK if profile.codec == "mpeg4" else RTP_CLOCK
        self._context = _open(width, height, rate, profile, self._base)
        self._duration = round(1 / rate / self._base)
        self._capture_times: dict[int, float] = {}
        extradata = self._context.extradata or b""
        self.info = StreamInfo(profile.codec, extradata, width, height, rate, self._base)

    def encode(self, rgb: NDArray[np.uint8], time: float, capture_time: float) -> list[Packet]:
        """Encode a picture, uint8 [height, width, 3]; returns the completed packets.

        `time` is in seconds of the stream and must be greater than that of the last picture.
        """
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts, frame.time_base = round(time / self._base), self._base
        self._capture_times[frame.pts] = capture_time
        return [self._to_packet(packet) for packet in self._context.encode(frame)]

    def flush(self) -> list[Packet]:
        """Return the packets still buffered; the encoder can't be used afterwards."""
        return [self._to_packet(packet) for packet in self._context.encode(None)]

    def _to_packet(self, packet: "av.Packet[Stream]") -> Packet:
        capture_time = self._capture_times.pop(packet.pts or 0, 0.0)
        return Packet(
            data=bytes(packet),
            pts=packet.pts,
            dts=packet.dts,
            duration=packet.duration or self._duration,
            time_base=self._base,
            keyframe=packet.is_keyframe,
            capture_time=capture_time,
        )


def _open(
    width: int, height: int, rate: float, profile: EncoderProfile, base: Fraction
) -> VideoCodecContext:
    context = av.CodecContext.create(ENCODERS[profile.codec], "w")
    if not isinstance(context, VideoCodecContext):
        raise CodecSightError(f"{profile.codec!r} can't be encoded on this machine")
    context.width, context.height = width, height
    context.pix_fmt = "yuvj420p" if profile.codec == "mjpeg" else "yuv420p"
    context.time_base = base
    context.framerate = Fraction(rate).limit_denominator(1001)
    context.gop_size = profile.gop
    context.max_b_frames = profile.b_frames
    context.thread_count = 1
    context.flags |= Flags.global_header
    if profile.bitrate:
        context.bit_rate = profile.bitrate
    context.options = _options(profile)
    context.open()
    return context


def _options(profile: EncoderProfile) -> dict[str, str]:
    """One reference, key frames only at GOP starts, and only the look-ahead B-frames need."""
    if profile.codec in ("mpeg4", "mjpeg"):
        return {}
    options = {"preset": profile.preset, "forced-idr": "1"}
    if not profile.bitrate:
        options["crf"] = f"{profile.crf:g}"
    if not profile.b_frames:
        options["tune"] = "zerolatency"
    lookahead = profile.b_frames and profile.b_frames + 1
    settings = f"scenecut=0:ref=1:repeat-headers=1:rc-lookahead={lookahead}:b-adapt=0"
    if profile.codec == "h264":
        options["x264-params"] = f"{settings}:b-pyramid=none"
    else:
        options["x265-params"] = f"{settings}:b-pyramid=0:log-level=none"
    return options
