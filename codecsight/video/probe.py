"""A look at a source: what it really sends."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.source import (
    Source,
    SourceError,
    SourceOptions,
    open_source,
    redact_url,
)
from codecsight.video.codec.decoder import Decoder
from codecsight.video.report import ProbeReport, advise

CONNECT_S = 15.0

OnFrame = Callable[[Frame], object]


def probe(
    url: str,
    seconds: float = 10.0,
    options: SourceOptions | None = None,
    on_frame: OnFrame | None = None,
) -> ProbeReport:
    """Watch `url` for so many seconds of its time and tell what it sends; `on_frame` is shown
    every decoded frame, outside the time that is measured.

    Raises SourceError where no picture comes: at once for a file, for a camera CONNECT_S after
    the time was up.
    """
    source = open_source(url, options)
    reasons = ["nothing was received"]
    source.on_state = lambda _, detail: reasons.append(detail) if detail else None
    guard = threading.Timer(CONNECT_S + seconds, source.close)
    guard.daemon = True
    guard.start()
    try:
        watch = _watch(source, seconds, on_frame)
    finally:
        guard.cancel()
        source.close()
    if watch is None or not watch.times:
        raise SourceError(f"{redact_url(url)}: no picture came ({reasons[-1]})")
    return watch.report(redact_url(url), source.anomalies)


def _watch(source: Source, seconds: float, on_frame: OnFrame | None) -> "_Watch | None":
    watch: _Watch | None = None
    for item in source.items():
        if isinstance(item, StreamInfo):
            watch = watch or _Watch(item, on_frame)
            watch.connected(item)
        elif watch is not None:
            watch.packet(item)
            if watch.seconds >= seconds:
                break
    if watch is not None:
        watch.finished()
    return watch


class _Watch:
    """What has been seen so far, over one or more connections."""

    def __init__(self, info: StreamInfo, on_frame: OnFrame | None) -> None:
        self._on_frame = on_frame
        self.times: list[float] = []
        self._info = info
        self._decoder: Decoder | None = None
        self._profile: str | None = None
        self._packets = self._bytes = 0
        self._keys: list[tuple[int, float]] = []
        self._kinds: Counter[str] = Counter()
        self._motion = self._intra = False
        self._size = info.width, info.height
        self._cpu_s = 0.0
        self._anomalies: Counter[str] = Counter()

    @property
    def seconds(self) -> float:
        """Stream time covered, the last frame's share included."""
        count = len(self.times)
        return 0.0 if count < 2 else (self.times[-1] - self.times[0]) * count / (count - 1)

    def connected(self, info: StreamInfo) -> None:
        """A connection begins."""
        self.finished()
        self._decoder = Decoder(info)

    def packet(self, packet: Packet) -> None:
        """Decode a packet, and take note."""
        self._packets += 1
        self._bytes += len(packet.data)
        if packet.keyframe and packet.time is not None:
            self._keys.append((self._packets, packet.time))
        if self._decoder is not None:
            began = time.thread_time()
            frames = self._decoder.decode(packet)
            self._cpu_s += time.thread_time() - began
            self._take(frames)

    def finished(self) -> None:
        """A connection, or the whole watch, is over."""
        if self._decoder is not None:
            self._take(self._decoder.flush())
            self._profile = self._decoder.profile
            self._anomalies += self._decoder.anomalies
            self._decoder = None

    def _take(self, frames: list[Frame]) -> None:
        for frame in frames:
            self.times.append(frame.time)
            self._kinds[frame.signals.frame_type] += 1
            self._motion |= frame.signals.motion is not None
            self._intra |= frame.signals.intra is not None
            self._size = frame.width, frame.height
            if self._on_frame is not None:
                self._on_frame(frame)

    def report(self, url: str, anomalies: Counter[str]) -> ProbeReport:
        """Everything seen, and what it comes to."""
        frames, span = len(self.times), self.seconds
        fps = frames / span if span else 0.0
        decode_s = self._cpu_s / frames
        gops = list(zip(self._keys, self._keys[1:], strict=False))
        report = ProbeReport(
            url=url,
            codec=self._info.codec,
            profile=self._profile,
            width=self._size[0],
            height=self._size[1],
            seconds=span,
            frames=frames,
            frame_types=dict(self._kinds),
            b_frames=self._kinds["B"] > 0,
            declared_fps=self._info.rate,
            measured_fps=fps,
            gop_frames=tuple(end[0] - start[0] for start, end in gops),
            gop_seconds=tuple(end[1] - start[1] for start, end in gops),
            bitrate=8 * self._bytes / span if span else 0.0,
            motion=self._motion,
            intra=self._intra,
            decode_ms=1000 * decode_s,
            streams_per_core=1 / (decode_s * fps) if decode_s and fps else 0.0,
            anomalies=dict(self._anomalies + anomalies),
        )
        return replace(report, advice=advise(report))
