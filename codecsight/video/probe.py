"""Probes a source: receives and decodes it for some seconds and reports its properties."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

from codecsight.core.frame import Frame
from codecsight.core.orientation import UPRIGHT
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket
from codecsight.core.urls.redaction import redact_url
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import (
    NO_KEY_FRAME,
    Source,
    SourceError,
    SourceOptions,
    SourceState,
)
from codecsight.video.codec.decoder import Decoder
from codecsight.video.recording.sound_stream import describe_sound
from codecsight.video.report import ProbeReport, advise, codec_name

CONNECT_S = 15.0
KEY_FRAME_S = 90.0
"""How long a camera that sends packets may take until its first key frame."""
OUTAGE_S, OUTAGE_FRAMES = 2.0, 8.0
"""A pause between frames that is longer than both is an outage, not the camera's frame rate."""
MAX_SIZES = 8  # of the picture, in a report

OnFrame = Callable[[Frame], object]


def probe(
    url: str,
    seconds: float = 10.0,
    options: SourceOptions | None = None,
    on_frame: OnFrame | None = None,
    on_stage: Callable[[str], object] = lambda _: None,
    prepare: Callable[[], object] = lambda: None,
) -> ProbeReport:
    """Receive `url` for `seconds` of stream time and report what it sends.

    `on_frame` is called with every decoded frame, outside the measured decode time, and `on_stage`
    with what is done now. `prepare` is called before anything is received or measured, but after
    a wrong path or URL was reported. Raises SourceError if no picture comes: at once for a file;
    for a camera after CONNECT_S + `seconds` without a packet, or KEY_FRAME_S without a key frame.
    """
    # One login is enough to know, and cameras lock users out after a few.
    options = replace(options or SourceOptions(), end_on_refused_login=True)
    source = open_source(url, options)
    reasons = ["nothing was received"]
    deadline = _Deadline(source)
    measurement = _Measurement(seconds, on_frame)

    def note_state(_: SourceState, detail: str) -> None:
        if detail:
            reasons.append(detail)
        if NO_KEY_FRAME in detail and deadline.extend_once(KEY_FRAME_S):
            on_stage(WAITING)

    source.on_state = note_state
    sounds: list[str] = []

    def note_sound(item: AudioInfo | AudioPacket) -> None:
        if isinstance(item, AudioInfo):
            sounds.append(describe_sound(item))

    source.on_audio = note_sound
    prepare()
    on_stage("connecting")
    deadline.set(CONNECT_S + seconds)
    try:
        for stage in measurement.run(source):
            deadline.set(KEY_FRAME_S if stage == WAITING else CONNECT_S + seconds)
            on_stage(stage)
    finally:
        deadline.cancel()
        source.close()
    if not measurement.frames:
        reason = measurement.why_no_picture or reasons[-1]
        raise SourceError(f"{redact_url(url)}: no picture came ({reason})")
    report = measurement.report(redact_url(url), source.anomalies, source.polled_s)
    return replace(report, sound=sounds[-1] if sounds else "")


WAITING, MEASURING = "waiting for a key frame", "measuring"


class _Deadline:
    """Closes a live source if the time that was set last has passed. A file needs no deadline."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._timer: threading.Timer | None = None
        self._extended = False

    def set(self, seconds: float) -> None:
        """Allow `seconds` from now on."""
        self.cancel()
        if self._source.live:
            self._timer = threading.Timer(seconds, self._source.close)
            self._timer.daemon = True
            self._timer.start()

    def extend_once(self, seconds: float) -> bool:
        """Allow `seconds` from now on, the first time this is called; whether it was."""
        first, self._extended = not self._extended, True
        if first:
            self.set(seconds)
        return first

    def cancel(self) -> None:
        """Remove the deadline."""
        if self._timer is not None:
            self._timer.cancel()


class _Measurement:
    """Counts and times of what was received, over one or more connections."""

    def __init__(self, seconds: float, on_frame: OnFrame | None) -> None:
        self._limit = seconds
        self._on_frame = on_frame
        self.frames = 0
        self._steps: list[float] = []  # seconds from frame to frame within a connection
        self._total_s = 0.0  # sum of these
        self._time: float | None = None  # of the last frame of this connection
        self._connections = 0
        self._info: StreamInfo | None = None
        self._decoder: Decoder | None = None
        self._profile: str | None = None
        self._packets = self._bytes = self._undecoded = 0
        self._keys: list[tuple[int, int, float]] = []  # connection, packet, time
        self._first_packet: Packet | None = None
        self._key_frame_wait_s = 0.0
        self._frame_types: Counter[str] = Counter()
        self._has_motion = self._has_intra = False
        self._last: Frame | None = None
        self._shown_sizes: list[tuple[int, int]] = []
        self._cpu_s = 0.0
        self._anomalies: Counter[str] = Counter()

    def run(self, source: Source) -> Iterator[str]:
        """Measure until the end, and yield each stage when it begins: WAITING, MEASURING."""
        for item in source.items():
            if isinstance(item, StreamInfo):
                self._start_connection(item)
                continue
            if self._first_packet is None:
                self._first_packet = item
                yield WAITING
            before = self.frames
            self._add_packet(item)
            if self.frames and not before:
                yield MEASURING
            if self._complete:
                # The frames that a decoder still holds have gaps where later packets are missing.
                self._end_connection(complete=False)
                return
        self._end_connection(complete=True)

    @property
    def why_no_picture(self) -> str | None:
        """Why the packets gave no picture; None if there were none."""
        if self._info is None or self._first_packet is None:
            return None
        packets = (
            f"{self._packets + self._undecoded} packets of {codec_name(self._info.codec)} video"
        )
        if self._keys:
            return f"none of {packets} could be decoded"
        return (
            f"{packets} came in {self._key_frame_wait_s:.0f} s, but no key frame, which decoding "
            "starts at; set the camera's I-frame interval to 2-4 s"
        )

    @property
    def _fps(self) -> float:
        """Frames per second, outages left out."""
        steps = self._usual_steps
        return len(steps) / sum(steps) if steps else 0.0

    @property
    def _usual_steps(self) -> list[float]:
        longest = self._longest_step
        return [step for step in self._steps if step <= longest]

    @property
    def _longest_step(self) -> float:
        return max(OUTAGE_S, OUTAGE_FRAMES * median(self._steps)) if self._steps else 0.0

    @property
    def _span(self) -> float:
        """Stream time covered, including the duration of the last frame; outages left out."""
        return self.frames / fps if (fps := self._fps) else 0.0

    @property
    def _complete(self) -> bool:
        """Whether enough stream time is covered."""
        # Computing the exact span of many frames for each packet would be slow.
        count = len(self._steps)
        least = 0.999 * self._limit
        return count > 0 and self._total_s * (count + 1) / count >= least and self._span >= least

    def _start_connection(self, info: StreamInfo) -> None:
        self._end_connection(complete=True)
        self._info = self._info or info
        self._connections += 1
        self._time = None
        self._decoder = Decoder(info)

    def _add_packet(self, packet: Packet) -> None:
        if not self.frames:
            self._wait_for_key_frame(packet)
        self._packets += 1
        self._bytes += len(packet.data)
        if packet.keyframe and packet.time is not None:
            self._keys.append((self._connections, self._packets, packet.time))
        if self._decoder is not None:
            started = time.thread_time()
            frames = self._decoder.decode(packet)
            self._cpu_s += time.thread_time() - started
            self._count(frames)

    def _wait_for_key_frame(self, packet: Packet) -> None:
        """Leave packets before the first key frame out of the rates and counts."""
        if packet.keyframe and not self._keys:
            self._undecoded += self._packets
            self._packets = self._bytes = 0
            self._cpu_s = 0.0
            if self._decoder is not None:
                self._decoder.anomalies.clear()
        if not self._keys and self._first_packet is not None:
            self._key_frame_wait_s = _seconds_between(self._first_packet, packet)

    def _end_connection(self, *, complete: bool) -> None:
        """Keep the decoder's profile and anomalies, and if `complete` the frames it still holds."""
        if self._decoder is not None:
            if complete or not self.frames:
                self._count(self._decoder.flush())
            self._profile = self._decoder.profile
            self._anomalies += self._decoder.anomalies
            self._decoder = None

    def _count(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.frames += 1
            if self._time is not None:
                self._steps.append(frame.time - self._time)
                self._total_s += self._steps[-1]
            self._time = frame.time
            self._frame_types[frame.signals.frame_type] += 1
            self._has_motion |= frame.signals.motion is not None
            self._has_intra |= frame.signals.intra is not None
            self._last = frame
            if [frame.shown_size] != self._shown_sizes[-1:] and len(self._shown_sizes) < MAX_SIZES:
                self._shown_sizes.append(frame.shown_size)
            if self._on_frame is not None:
                self._on_frame(frame)

    def report(self, url: str, anomalies: Counter[str], polled_s: float) -> ProbeReport:
        """Summarise the measurement, with advice."""
        fps, span, decode_s = self._fps, self._span, self._cpu_s / self.frames
        longest = self._longest_step
        gops = [pair for pair in pairwise(self._keys) if pair[0][0] == pair[1][0]]
        report = ProbeReport(
            url=url,
            codec=self._info.codec if self._info else "?",
            profile=self._profile,
            **self._picture(),
            seconds=span,
            frames=self.frames,
            frame_types=dict(self._frame_types),
            b_frames=self._frame_types["B"] > 0,
            declared_fps=self._info.rate if self._info else 0.0,
            measured_fps=fps,
            pauses=tuple(step for step in self._steps if step > longest),
            gop_frames=tuple(end[1] - start[1] for start, end in gops),
            gop_seconds=tuple(end[2] - start[2] for start, end in gops),
            key_frame_wait_s=self._key_frame_wait_s,
            bitrate=8 * self._bytes / span if span else 0.0,
            motion=self._has_motion,
            intra=self._has_intra,
            decode_ms=1000 * decode_s,
            streams_per_core=1 / (decode_s * fps) if decode_s and fps else 0.0,
            anomalies=dict(self._anomalies + anomalies),
            polled_s=polled_s,
        )
        return replace(report, advice=advise(report))

    def _picture(self) -> dict[str, Any]:
        """The report's fields about the shape of the picture."""
        last = self._last
        aspect = (last and last.sample_aspect) or Fraction(1)
        return {
            "width": last.picture.width if last else 0,
            "height": last.picture.height if last else 0,
            "orientation": str(last.orientation if last else UPRIGHT),
            "sample_aspect": f"{aspect.numerator}:{aspect.denominator}",
            "shown_sizes": tuple(self._shown_sizes),
        }


def _seconds_between(first: Packet, last: Packet) -> float:
    """Stream time from one packet to another; by their arrival where they have no timestamps."""
    if first.time is not None and last.time is not None:
        return max(0.0, last.time - first.time)
    return max(0.0, last.capture_time - first.capture_time)
