"""`camera:SITE:ID`: reads one camera's feed, tracks what changed, and offers it to the uplink."""

import threading
import time
from pathlib import Path

import ray
import structlog
from ray.exceptions import RayError

from actors.metrics import CameraMetrics
from actors.rpc.uplink_client import OfferResult
from codecsight.camera import CameraPipeline
from codecsight.change.sampler import SamplingRange
from codecsight.config.site_config import CameraConfig, stream_name
from codecsight.core.grid import GridSpec
from codecsight.core.packet import StreamInfo
from codecsight.core.slot import Slot
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack
from codecsight.uplink.messages import CameraStats
from codecsight.video.capture.feed.client import FeedClient
from codecsight.video.capture.feed.protocol import CaptureStatus, FeedError

log = structlog.get_logger()

REPORT_S = 1.0
AGAIN_S = 0.5
FEED_S = 3.0


class CameraActor:
    """One camera's analysis. It can die and come back: recording goes on in a process of its own.

    `uplink` is the name of the site's UplinkActor. The grid comes from the cloud, so nothing is
    tracked before the uplink was welcomed once.
    """

    def __init__(self, site: str, name: str, config: CameraConfig, feed: Path, uplink: str) -> None:
        self._stream = stream_name(site, name)
        self._config = config
        self._feed = feed
        self._uplink = ray.get_actor(uplink)
        self._codec = PatchCodec("jpeg", config.jpeg_quality)
        self._metrics = CameraMetrics(site, name)
        self._status = CaptureStatus("connecting")
        self._trouble = ""
        self._camera: CameraPipeline | None = None
        self._size: tuple[int, int] | None = None
        self._uplink_bytes = 0
        self._reported = CameraStats("connecting", 0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0)
        self._reported_at = time.monotonic()
        threading.Thread(target=self._run, name=f"camera {name}", daemon=True).start()

    def stats(self) -> CameraStats:
        """The numbers last reported."""
        return self._reported

    def _run(self) -> None:
        while True:
            trouble = self._once()
            if trouble and trouble != self._trouble:
                log.warning("analysis waits", stream=self._stream, reason=trouble)
            self._trouble = trouble
            time.sleep(AGAIN_S)

    def _once(self) -> str:
        """Follow the feed as far as it goes; why it went no further, if not by itself."""
        try:
            self._follow(FeedClient(self._feed, FEED_S))
        except FeedError as error:
            self._status = CaptureStatus("down", str(error))
            self._report()
            return str(error)
        except RayError as error:  # Ray is bringing the uplink back
            return f"the uplink is away ({type(error).__name__})"
        except Exception as error:
            log.exception("analysis failed; it begins anew", stream=self._stream)
            return f"{type(error).__name__}: {error}"
        return ""

    def _follow(self, client: FeedClient) -> None:
        """Read the feed until it ends, or until a new grid calls for a fresh start: a feed begins
        with its StreamInfo and a key frame, which a new decoder needs.
        """
        camera = self._camera
        for item in client.items():
            if isinstance(item, CaptureStatus):
                self._status = item
            elif isinstance(item, StreamInfo):
                self._size = (item.width, item.height)
            if camera is not None and not isinstance(item, CaptureStatus):
                for slot in camera.feed(item):
                    self._ship(camera, slot)
            if time.monotonic() - self._reported_at >= REPORT_S:
                self._report()
                if camera is None and self._size is not None:
                    self._begin(ray.get(self._uplink.spec.remote(self._stream, *self._size)))
            if self._camera is not camera:
                client.close()
                return

    def _begin(self, spec: GridSpec | None) -> None:
        """Start over for what the cloud's model asks; None as long as it has not said."""
        if spec is not None:
            config, follow = self._config, None
            if config.sampling is not None:
                follow = SamplingRange(config.sampling.min_fps, config.sampling.max_fps)
            self._camera = CameraPipeline(spec, config.policy, config.anchor_every, follow)

    def _ship(self, camera: CameraPipeline, slot: Slot) -> None:
        chunk = pack(slot, camera.spec, self._stream, self._codec)
        self._uplink_bytes += chunk.size
        reply: OfferResult = ray.get(self._uplink.offer.remote(chunk, *(self._size or (0, 0))))
        if reply.spec is not None and reply.spec != camera.spec:
            self._begin(reply.spec)
        elif reply.need_anchor:
            camera.force_anchor()

    def _report(self) -> None:
        now, before = time.monotonic(), self._reported
        stats = self._stats(now - self._reported_at)
        self._reported, self._reported_at = stats, now
        metrics = self._metrics
        for name in ("frames", "cells_kept", "cells_total", "uplink_bytes", "anomalies"):
            grown = getattr(stats, name) - getattr(before, name)
            if grown > 0:  # numbers start over with a new grid or recording process
                getattr(metrics, name).inc(grown)
        self._uplink.report.remote(self._stream, stats)

    def _stats(self, elapsed: float) -> CameraStats:
        counters = self._camera.counters if self._camera else None
        frames = counters.frames if counters else 0
        troubles = sum(self._status.anomalies.values())
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
            anomalies=troubles + (sum(counters.anomalies.values()) if counters else 0),
            segments=self._status.recorder.get("segments", 0),
        )
