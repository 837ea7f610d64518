"""`python -m cluster.site_worker`: a site's Ray and actors, in a process that may crash.

When Ray's control store (GCS) fails, Ray kills the process that started it, so recording runs in
other processes. The process reads its settings as one line of JSON from standard input and writes
the state of cameras and archive as JSON lines to standard output; logs go to standard error. It
ends in an orderly way when standard input closes.
"""

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import structlog

from cluster.private_ray import private_ray, start_named_actor
from cluster.recorder_supervisor import feed_path
from codecsight.config import SiteConfig
from codecsight.core.errors import CodecSightError

log = structlog.get_logger()

REPORT_S = 2.0
DRAIN_TIMEOUT_S = 30.0
FLUSH_TIMEOUT_S = 3.0


class RayDiedError(CodecSightError):
    """Ray has died; it must be restarted together with its actors."""


def main() -> None:
    """Run until standard input closes."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent receives them too and decides
        signal.signal(number, lambda *_: None)
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Ray prints the actors' output to stdout
    settings = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_wait_for_eof, args=(stop,), daemon=True).start()
    config = SiteConfig.model_validate(settings["site"])
    try:
        with private_ray(Path(settings["folder"]), namespace="site") as info:
            log.info("ray", dashboard=info.dashboard, token_file=str(info.token_file))
            _run(_SiteActors(config, Path(settings["feeds"])), stop, reports)
    except CodecSightError as error:
        log.error("site worker failed", error=str(error))
        sys.exit(1)


def _run(actors: "_SiteActors", stop: threading.Event, reports: TextIO) -> None:
    while not stop.wait(REPORT_S):
        reports.write(json.dumps(actors.report()) + "\n")
        reports.flush()
    log.info("archived", **asdict(actors.drain()))


def _wait_for_eof(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


class _SiteActors:
    """The site's actors, under the names that the Ray dashboard shows."""

    def __init__(self, config: SiteConfig, feeds: Path) -> None:
        # Imported here: Ray reads its token on import, and private_ray must write it first.
        import ray

        from actors.archiver_actor import ArchiverActor
        from actors.camera_actor import CameraActor
        from actors.uplink_actor import UplinkActor

        site = config.site
        self._get = ray.get
        uplink = f"uplink:{site}"
        self._uplink = start_named_actor(UplinkActor, uplink, config)
        self._archiver = start_named_actor(
            ArchiverActor, f"archiver:{site}", config.spool, config.archive, max_concurrency=2
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

    def report(self) -> dict[str, Any]:
        """The state of all cameras and of the archive, without actors that are being restarted.

        Raises RayDiedError.
        """
        rows = {
            name: self._get_or_none(actor.stats.remote()) for name, actor in self._cameras.items()
        }
        archive = self._get_or_none(self._archiver.stats.remote())
        return {
            "time": time.time(),
            "cameras": {name: asdict(row) for name, row in rows.items() if row is not None},
            "archive": asdict(archive) if archive is not None else None,
        }

    def drain(self) -> Any:
        """Flush the uplink and upload finished segments; return the archiver's final counters."""
        self._get(self._uplink.close.remote(FLUSH_TIMEOUT_S), timeout=DRAIN_TIMEOUT_S)
        return self._get(self._archiver.drain.remote(), timeout=DRAIN_TIMEOUT_S)

    def _get_or_none(self, reference: Any) -> Any:
        from ray.exceptions import ActorDiedError, RayError

        try:
            return self._get(reference, timeout=REPORT_S)
        except ActorDiedError as error:  # with max_restarts=-1 this means that Ray itself is down
            raise RayDiedError("Ray has stopped; the site's actors are gone") from error
        except RayError as error:  # Ray is restarting the actor
            log.warning("actor not available", error=type(error).__name__)
            return None


if __name__ == "__main__":
    main()
