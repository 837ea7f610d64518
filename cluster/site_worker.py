"""`python -m cluster.site_worker`: a site's Ray and actors, in a process that may crash.

Reports the state of cameras and archive every REPORT_S seconds (see `cluster.ray_worker`).
"""

import threading
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from cluster.private_ray import RayDaemons, start_named_actor
from cluster.ray_worker import Report, WriteReport, run_ray_worker
from cluster.recorders import feed_path
from cluster.supervision.actor_watch import ActorWatch
from cluster.warm_up import WarmUp
from codecsight.config import SiteConfig
from codecsight.core.errors import CodecSightError
from codecsight.core.urls.credentials import S3Keys
from codecsight.logs import FailureLog

log = structlog.get_logger()

REPORT_S = 2.0
FLUSH_TIMEOUT_S = 3.0
CLOSE_TIMEOUT_S = 15.0  # above FLUSH_TIMEOUT_S + 2 CLIENT_CLOSE_S
DRAIN_TIMEOUT_S = 30.0


class RayDiedError(CodecSightError):
    """Ray has died; it must be restarted together with its actors."""


def main() -> None:
    """Run until standard input closes."""
    run_ray_worker("site", partial(_serve, WarmUp()))


def _serve(warm_up: WarmUp, settings: Report, stop: threading.Event, write: WriteReport) -> None:
    warm_up.wait(stop, lambda: write({"time": time.time(), "cameras": {}, "archive": None}))
    keys = settings.get("s3_keys")
    config, feeds = SiteConfig.model_validate(settings["site"]), Path(settings["feeds"])
    actors = _SiteActors(config, feeds, S3Keys(*keys) if keys else None)
    while not stop.wait(REPORT_S):
        write(actors.report())
    actors.drain()


class _SiteActors:
    """The site's actors, under the names that the Ray dashboard shows."""

    def __init__(self, config: SiteConfig, feeds: Path, keys: S3Keys | None) -> None:
        # Imported here: Ray reads its token on import, and private_ray must write it first.
        import ray

        from actors.archiver_actor import ArchiverActor
        from actors.camera_actor import CameraActor
        from actors.uplink_actor import UplinkActor

        site = config.site
        self._ray = ray
        self._failures: dict[str, FailureLog] = {}
        uplink = f"uplink:{site}"
        self._uplink = start_named_actor(UplinkActor, uplink, config)
        self._archiver = start_named_actor(
            *(ArchiverActor, f"archiver:{site}", config.spool, config.archive.url, keys),
            max_concurrency=2,
        )
        self._cameras = {
            name: start_named_actor(
                CameraActor,
                f"camera:{site}:{name}",
                *(site, name, camera, feed_path(feeds, name), uplink),
                max_concurrency=2,
            )
            for name, camera in config.cameras.items()
        }
        self._daemons = RayDaemons()
        self._watch = ActorWatch(
            {
                uplink: self._uplink,
                f"archiver:{site}": self._archiver,
                **{f"camera:{site}:{name}": actor for name, actor in self._cameras.items()},
            }
        )

    def report(self) -> dict[str, Any]:
        """The state of all cameras, their uplinks and the archive, without actors that are being
        restarted. Those that are frozen are killed, and Ray starts them again. Raises RayDiedError.
        """
        if daemon := self._daemons.dead():
            raise RayDiedError(f"Ray's {daemon} has died")
        self._watch.poll()
        calls = {name: actor.stats.remote() for name, actor in self._cameras.items()}
        archive_call, uplink_call = self._archiver.stats.remote(), self._uplink.status.remote()
        pending = [*calls.values(), archive_call, uplink_call]  # one deadline for all
        self._ray.wait(pending, num_returns=len(pending), timeout=REPORT_S)
        rows = {name: self._get_or_none(f"camera {name}", call) for name, call in calls.items()}
        archive = self._get_or_none("archiver", archive_call)
        uplinks = self._get_or_none("uplink", uplink_call) or {}
        return {
            "time": time.time(),
            "cameras": {name: asdict(row) for name, row in rows.items() if row is not None},
            "uplinks": {name: asdict(status) for name, status in uplinks.items()},
            "archive": asdict(archive) if archive is not None else None,
        }

    def drain(self) -> None:
        """Flush the uplink and upload finished segments, as far as time allows."""
        self._finish("uplink", self._uplink.close.remote(FLUSH_TIMEOUT_S), CLOSE_TIMEOUT_S)
        archived = self._finish("archiver", self._archiver.drain.remote(), DRAIN_TIMEOUT_S)
        if archived is not None:
            log.info("archived", **asdict(archived))

    def _finish(self, actor: str, reference: Any, timeout_s: float) -> Any:
        try:
            return self._ray.get(reference, timeout=timeout_s)
        except self._ray.exceptions.RayError as error:  # the spool keeps what is not uploaded
            log.error("actor did not finish", actor=actor, error=type(error).__name__)
            return None

    def _get_or_none(self, actor: str, reference: Any) -> Any:
        from ray.exceptions import ActorDiedError, RayError

        try:
            report = self._ray.get(reference, timeout=0)
        except ActorDiedError as error:  # with max_restarts=-1 this means that Ray itself is down
            raise RayDiedError("Ray has stopped; the site's actors are gone") from error
        except RayError as error:  # it is starting, or Ray is restarting it
            self._failures.setdefault(actor, FailureLog("report", actor=actor)).failed(
                type(error).__name__
            )
            return None
        if actor in self._failures:
            self._failures[actor].recovered()
        return report


if __name__ == "__main__":
    main()
