"""`camera:SITE:ID`: the Ray actor that analyses one camera.

It reads the camera's feed, tracks changes, and offers the resulting slots to the uplink. Importing
this module loads neither numba nor PyAV: the site's worker process, which starts the actors, needs
neither.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ray
import structlog
from ray.exceptions import RayError, RayTaskError

from actors.deadlines import UPLINK_CALL_S
from actors.metrics import CameraMetrics
from actors.rpc.uplink_client import OfferResult
from codecsight.config.site_config import CameraConfig, stream_name
from codecsight.core.grid import GridSpec
from codecsight.core.packet import StreamInfo
from codecsight.core.slot import Slot
from codecsight.logs import FailureLog, configure_logs
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack
from codecsight.uplink.messages import CameraStats
from codecsight.video.capture.feed.client import FeedClient
from codecsight.video.capture.feed.protocol import CaptureStatus, FeedError

if TYPE_CHECKING:
    from codecsight.camera import CameraPipeline

log = structlog.get_logger()

REPORT_INTERVAL_S = 1.0
RETRY_DELAY_S = 0.5
MAX_TROUBLE = 500  # characters
FEED_TIMEOUT_S = 3.0


class CameraActor:
    """Analyses one camera. Recording has its own process, so a restart loses no video.

    `uplink` is the name of the site's UplinkActor. The grid comes from the cloud, so tracking
    starts after the uplink's first Welcome.
    """

    def __init__(self, site: str, name: str, config: CameraConfig, feed: Path, uplink: str) -> None:
        self._stream = stream_name(site, name)
        configure_logs("camera", stream=self._stream)
        self._config = config
        self._feed = feed
        self._uplink = ray.get_actor(uplink)
        self._quality = config.jpeg_quality
        self._codec = PatchCodec("jpeg", self._quality)
        self._metrics = CameraMetrics(site, name)
        self._status = CaptureStatus("connecting")
        self._failures = FailureLog("analysis")
        self._camera: CameraPipeline | None = None
        self._size: tuple[int, int] | None = None
        self._uplink_bytes = 0
        self._reported = CameraStats("connecting", 0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0)
        self._reported_at = time.monotonic()
        threading.Thread(target=self._run, name=f"camera {name}", daemon=True).start()

    def stats(self) -> CameraStats:
        """The counters last reported."""
        return self._reported

    def _run(self) -> None:
        while True:
            if error := self._read_until_failure():
                self._failures.failed(error)
            time.sleep(RETRY_DELAY_S)

    def _read_until_failure(self) -> str:
        """Read the feed until it ends or fails. Returns the reason, empty for a regular end."""
        try:
            self._read_feed(FeedClient(self._feed, FEED_TIMEOUT_S))
        except FeedError as error:
            self._status = CaptureStatus("down", str(error))
            self._report()
            return str(error)
        except RayError as error:  # Ray restarts the uplink actor, or it does not respond
            return _uplink_problem(error)
        except Exception as error:
            log.exception("analysis failed; restarting it")
            return f"{type(error).__name__}: {error}"
        return ""

    def _read_feed(self, client: FeedClient) -> None:
        """Read the feed until it ends or the grid changes.

        A new grid needs a new decoder, which needs the StreamInfo and the key frame at the start of
        a feed. The caller then opens the feed again.
        """
        camera = self._camera
        for item in client.items():
            if isinstance(item, CaptureStatus):
                self._status = item
            elif isinstance(item, StreamInfo):
                self._size = item.shown_size
            if camera is not None and not isinstance(item, CaptureStatus):
                for slot in camera.feed(item):
                    self._failures.recovered()
                    self._send_slot(camera, slot)
            if time.monotonic() - self._reported_at >= REPORT_INTERVAL_S:
                self._report()
                if camera is None and self._size is not None:
                    spec = self._uplink.spec.remote(self._stream, *self._size)
                    self._start_pipeline(ray.get(spec, timeout=UPLINK_CALL_S))
            if self._camera is not camera:
                client.close()
                return

    def _start_pipeline(self, spec: GridSpec | None) -> None:
        """Replace the pipeline by one for `spec`. Does nothing before the cloud has sent a grid."""
        if spec is not None:
            from codecsight.camera import CameraPipeline
            from codecsight.change.sampler import SamplingRange

            config, sampling = self._config, None
            if config.sampling is not None:
                sampling = SamplingRange(config.sampling.min_fps, config.sampling.max_fps)
            self._camera = CameraPipeline(
                spec, config.policy, config.anchor_every, sampling, config.ignore
            )

    def _send_slot(self, camera: CameraPipeline, slot: Slot) -> None:
        chunk = pack(slot, camera.spec, self._stream, self._codec)
        self._uplink_bytes += chunk.size
        self._size = camera.size or self._size  # the bitstream may turn or resize the picture
        offer = self._uplink.offer.remote(chunk, *(self._size or (0, 0)))
        reply: OfferResult = ray.get(offer, timeout=UPLINK_CALL_S)
        self._set_quality(min(reply.quality, self._config.jpeg_quality))
        if reply.spec is not None and reply.spec != camera.spec:
            self._start_pipeline(reply.spec)
        elif reply.needs_anchor:
            camera.force_anchor()

    def _set_quality(self, quality: int) -> None:
        """Code the next slots with another quality: lower on a thin uplink."""
        if quality != self._quality:
            log.warning("quality changed", stream=self._stream, jpeg_quality=quality)
            self._quality, self._codec = quality, PatchCodec("jpeg", quality)

    def _report(self) -> None:
        now, previous = time.monotonic(), self._reported
        stats = self._stats(now - self._reported_at)
        self._reported, self._reported_at = stats, now
        metrics = self._metrics
        for name in ("frames", "cells_kept", "cells_total", "uplink_bytes", "anomalies"):
            increase = getattr(stats, name) - getattr(previous, name)
            if increase > 0:  # counts restart at 0 with a new grid or recording process
                getattr(metrics, name).inc(increase)
        self._uplink.report.remote(self._stream, stats)

    def _stats(self, elapsed: float) -> CameraStats:
        counters = self._camera.counters if self._camera else None
        frames = counters.frames if counters else 0
        capture_anomalies = sum(self._status.anomalies.values())
        return CameraStats(
            state=self._status.state,
            frames=frames,
            fps=(frames - self._reported.frames) / elapsed,
            source_bytes=counters.source_bytes if counters else 0,
            uplink_bytes=self._uplink_bytes,
            cells_kept=counters.cells_kept if counters else 0,
            cells_total=counters.cells_total if counters else 0,
            slots=counters.slots if counters else 0,
            dropped=self._status.feed_dropped,
            anomalies=capture_anomalies + (sum(counters.anomalies.values()) if counters else 0),
            segments=self._status.recorder.get("segments", 0),
            trouble=self._status.error[:MAX_TROUBLE],
        )


def _uplink_problem(error: RayError) -> str:
    """What keeps the uplink actor from serving: its own error, such as a key file that can't be
    read, or that it is away.
    """
    cause = error.cause if isinstance(error, RayTaskError) else None
    if cause is not None:
        return f"the uplink: {cause}"
    return f"the uplink actor is not available ({type(error).__name__})"
