"""`python -m cluster.site_worker`: a site's Ray and its actors, in a process that may die.

When Ray's control store goes, Ray ends the process that started it: recording must not be in
there. What it works on comes as one line of JSON on standard input, the state of cameras
and archive goes as one object a line to standard output. It ends, in order, when standard input
does; what it says to people goes to standard error.
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
DRAIN_S = 30.0
FLUSH_S = 3.0


class RayGoneError(CodecSightError):
    """Ray has died; its actors can only be started anew."""


def main() -> None:
    """Run until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the site gets them too, and says when
        signal.signal(number, lambda *_: None)
    reports = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Ray prints its actors' output
    settings = json.loads(sys.stdin.readline())
    stop = threading.Event()
    threading.Thread(target=_until_told, args=(stop,), daemon=True).start()
    config = SiteConfig.model_validate(settings["site"])
    try:
        with private_ray(Path(settings["folder"]), namespace="site") as info:
            log.info("ray", dashboard=info.dashboard, token_file=str(info.token_file))
            _analyse(_Fleet(config, Path(settings["feeds"])), stop, reports)
    except CodecSightError as error:
        log.error("analysis", error=str(error))
        sys.exit(1)


def _analyse(fleet: "_Fleet", stop: threading.Event, reports: TextIO) -> None:
    while not stop.wait(REPORT_S):
        reports.write(json.dumps(fleet.report()) + "\n")
        reports.flush()
    log.info("archived", **asdict(fleet.drain()))


def _until_told(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


class _Fleet:
    """The site's actors, by the names that the Ray dashboard shows."""

    def __init__(self, config: SiteConfig, feeds: Path) -> None:
        # Ray reads its token while it is imported: only after private_ray has written it.
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
        """The state of all cameras and of the archive; an actor that is away is left out. Raises
        RayGoneError.
        """
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
        from ray.exceptions import ActorDiedError, RayError

        try:
            return self._get(reference, timeout=REPORT_S)
        except ActorDiedError as error:  # for good, though Ray should start it again: Ray is gone
            raise RayGoneError("Ray has died under the site's actors") from error
        except RayError as error:  # it died, and Ray is bringing it back
            log.warning("an actor did not answer", error=type(error).__name__)
            return None


if __name__ == "__main__":
    main()
