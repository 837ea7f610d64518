"""Probes a source: receives and decodes it for some seconds and reports its properties."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.redaction import redact_url
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import Source, SourceError, SourceOptions
from codecsight.video.codec.decoder import Decoder
from codecsight.video.report import ProbeReport, advise

CONNECT_S = 15.0
MAX_SIZES = 8  # of the picture, in a report

OnFrame = Callable[[Frame], object]


def probe(
    url: str,
    seconds: float = 10.0,
    options: SourceOptions | None = None,
    on_frame: OnFrame | None = None,
) -> ProbeReport:
    """Receive `url` for `seconds` of stream time and report what it sends.

    `on_frame` is called with every decoded frame, outside the measured decode time. Raises
    SourceError if no picture comes: at once for a file, after CONNECT_S + `seconds` for a camera.
    """
    source = open_source(url, options)
    reasons = ["nothing was received"]
    source.on_state = lambda _, detail: reasons.append(detail) if detail else None
    deadline = threading.Timer(CONNECT_S + seconds, source.close)
    deadline.daemon = True
    deadline.start()
    try:
        measurement = _measure(source, seconds, on_frame)
    finally:
        deadline.cancel()
        source.close()
    if measurement is None or not measurement.times:
        raise SourceError(f"{redact_url(url)}: no picture came ({reasons[-1]})")
    return measurement.report(redact_url(url), source.anomalies)


def _measure(source: Source, seconds: float, on_frame: OnFrame | None) -> "_Measurement | None":
    measurement: _Measurement | None = None
    for item in source.items():
        if isinstance(item, StreamInfo):
            measurement = measurement or _Measurement(item, on_frame)
            measurement.start_connection(item)
        elif measurement is not None:
            measurement.add_packet(item)
            if measurement.seconds >= seconds:
                break
    if measurement is not None:
        measurement.end_connection()
    return measurement


class _Measurement:
    """Counts and times of what was received, over one or more connections."""

    def __init__(self, info: StreamInfo, on_frame: OnFrame | None) -> None:
        self._on_frame = on_frame
        self.times: list[float] = []
        self._info = info
        self._decoder: Decoder | None = None
        self._profile: str | None = None
        self._packets = self._bytes = 0
        self._keys: list[tuple[int, float]] = []
        self._frame_types: Counter[str] = Counter()
        self._has_motion = self._has_intra = False
        self._last: Frame | None = None
        self._shown_sizes: list[tuple[int, int]] = []
        self._cpu_s = 0.0
        self._anomalies: Counter[str] = Counter()

    @property
    def seconds(self) -> float:
        """Stream time covered, including the duration of the last frame."""
        count = len(self.times)
        return 0.0 if count < 2 else (self.times[-1] - self.times[0]) * count / (count - 1)

    def start_connection(self, info: StreamInfo) -> None:
        """Start a connection, ending the one before."""
        self.end_connection()
        self._decoder = Decoder(info)

    def add_packet(self, packet: Packet) -> None:
        """Decode and count a packet."""
        self._packets += 1
        self._bytes += len(packet.data)
        if packet.keyframe and packet.time is not None:
            self._keys.append((self._packets, packet.time))
        if self._decoder is not None:
            started = time.thread_time()
            frames = self._decoder.decode(packet)
            self._cpu_s += time.thread_time() - started
            self._count(frames)

    def end_connection(self) -> None:
        """Flush the decoder and keep its profile and anomalies."""
        if self._decoder is not None:
            self._count(self._decoder.flush())
            self._profile = self._decoder.profile
            self._anomalies += self._decoder.anomalies
            self._decoder = None

    def _count(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.times.append(frame.time)
            self._frame_types[frame.signals.frame_type] += 1
            self._has_motion |= frame.signals.motion is not None
            self._has_intra |= frame.signals.intra is not None
            self._last = frame
            if [frame.shown_size] != self._shown_sizes[-1:] and len(self._shown_sizes) < MAX_SIZES:
                self._shown_sizes.append(frame.shown_size)
            if self._on_frame is not None:
                self._on_frame(frame)

    def report(self, url: str, anomalies: Counter[str]) -> ProbeReport:
        """Summarise the measurement, with advice."""
        frames, span = len(self.times), self.seconds
        fps = frames / span if span else 0.0
        decode_s = self._cpu_s / frames
        gops = list(zip(self._keys, self._keys[1:], strict=False))
        report = ProbeReport(
            url=url,
            codec=self._info.codec,
            profile=self._profile,
            **self._picture(),
            seconds=span,
            frames=frames,
            frame_types=dict(self._frame_types),
            b_frames=self._frame_types["B"] > 0,
            declared_fps=self._info.rate,
            measured_fps=fps,
            gop_frames=tuple(end[0] - start[0] for start, end in gops),
            gop_seconds=tuple(end[1] - start[1] for start, end in gops),
            bitrate=8 * self._bytes / span if span else 0.0,
            motion=self._has_motion,
            intra=self._has_intra,
            decode_ms=1000 * decode_s,
            streams_per_core=1 / (decode_s * fps) if decode_s and fps else 0.0,
            anomalies=dict(self._anomalies + anomalies),
        )
        return replace(report, advice=advise(report))

    def _picture(self) -> dict[str, Any]:
        """The report's fields about the shape of the picture."""
        last = self._last
        aspect = (last and last.sample_aspect) or Fraction(1)
        return {
            "width": last.picture.width if last else self._info.width,
            "height": last.picture.height if last else self._info.height,
            "orientation": str(last.orientation if last else self._info.orientation),
            "sample_aspect": f"{aspect.numerator}:{aspect.denominator}",
            "shown_sizes": tuple(self._shown_sizes),
        }
