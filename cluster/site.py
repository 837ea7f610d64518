"""A site: recording processes first, then Ray with its actors, and back again in reverse."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from cluster.captures import Captures
from cluster.folders import passing_folder
from cluster.private_ray import named_actor, private_ray
from codecsight.config import SiteConfig

log = structlog.get_logger()

AGAIN_S = 5.0
REPORT_S = 2.0
DRAIN_S = 30.0
FLUSH_S = 3.0


OnReport = Callable[[dict[str, Any]], None]
"""Takes the site's state every REPORT_S seconds: `time`, `cameras` by name, `archive`."""


def run_site(config: SiteConfig, stop: threading.Event, on_report: OnReport) -> None:
    """Run until `stop`. Whatever happens to Ray, recording goes on and Ray is started again."""
    with passing_folder("cs-feeds-") as feeds:
        captures = Captures(config, feeds)
        try:
            while not stop.is_set():
                _analyse_once(config, captures, stop, on_report)
        finally:
            captures.stop()


def _analyse_once(
    config: SiteConfig, captures: Captures, stop: threading.Event, on_report: OnReport
) -> None:
    try:
        with passing_folder("cs-site-") as folder:
            _analyse(config, captures, folder, stop, on_report)
    except Exception:
        log.exception("analysis ended; recording goes on", again_in_s=AGAIN_S)
        stop.wait(AGAIN_S)


def _analyse(
    config: SiteConfig,
    captures: Captures,
    folder: Path,
    stop: threading.Event,
    on_report: OnReport,
) -> None:
    with private_ray(folder, namespace="site") as info:
        log.info("ray", dashboard=info.dashboard, token_file=str(info.token_file))
        fleet = _Fleet(config, captures)
        while not stop.wait(REPORT_S):
            on_report(fleet.report())
        captures.stop()
        log.info("archived", **asdict(fleet.drain()))


class _Fleet:
    """The site's actors, by the names that the Ray dashboard shows."""

    def __init__(self, config: SiteConfig, captures: Captures) -> None:
        # Ray reads its token while it is imported: only after private_ray has written it.
        import ray

        from actors.archiver import ArchiverActor
        from actors.camera import CameraActor
        from actors.uplink import UplinkActor

        site = config.site
        self._get = ray.get
        uplink = f"uplink:{site}"
        self._uplink = named_actor(UplinkActor, uplink, config)
        self._archiver = named_actor(
            ArchiverActor, f"archiver:{site}", config.spool, config.archive, calls=2
        )
        self._cameras = {
            name: named_actor(
                CameraActor,
                f"camera:{site}:{name}",
                *(site, name, camera, captures.feed(name), uplink),
                calls=2,
            )
            for name, camera in config.cameras.items()
        }

    def report(self) -> dict[str, Any]:
        """The state of all cameras and of the archive; an actor that is away is left out."""
        rows = {name: self._ask(actor.stats.remote()) for name, actor in self._cameras.items()}
        archive = self._ask(self._archiver.stats.remote())
        return {
            "time": time.time(),
            "cameras": {name: asdict(row) for name, row in rows.items() if row is not None},
            "archive": asdict(archive) if archive is not None else None,
        }

    def drain(self) -> Any:
        """Send what waits, upload what is finished; returns the archiver's last numbers."""
        self._get(self._uplink.close.remote(FLUSH_S), timeout=DRAIN_S)
        return self._get(self._archiver.drain.remote(), timeout=DRAIN_S)

    def _ask(self, reference: Any) -> Any:
        from ray.exceptions import RayError

        try:
            return self._get(reference, timeout=REPORT_S)
        except RayError as error:  # it died, and Ray is bringing it back
            log.warning("an actor did not answer", error=type(error).__name__)
            return None
