"""A site's recording processes, one per camera; independent of Ray and the network."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from cluster.supervision.process_spec import ProcessSpec
from cluster.supervision.restart_policy import RestartPolicy
from codecsight.config import SiteConfig
from codecsight.config.site_config import stream_name
from codecsight.video.capture.exit_codes import END_OF_SOURCE

STOP_TIMEOUT_S = 8.0
SILENCE_S = 60.0
FROZEN_S = 4.0
"""It reports every 2 s (ALIVE_S). A frozen one is recording again within 10 s."""


def feed_path(feeds: Path, camera: str) -> Path:
    """The Unix socket at which a camera's recording process serves its packets."""
    return feeds / f"{camera}.sock"


def recorder_name(camera: str) -> str:
    """The name of a camera's recording process in logs and reports."""
    return f"recorder:{camera}"


OnLine = Callable[[bytes], None]


def recorder_specs(
    config: SiteConfig, feeds: Path, on_status: Callable[[str, bytes], None] | None = None
) -> tuple[ProcessSpec, ...]:
    """The recording processes of all cameras. `on_status` is called with the camera and its
    CaptureStatus as a line of JSON, every few seconds.

    One that fails is restarted after 1 s to 60 s, without limit. One whose source ended (a file
    that is not looped) is not restarted.
    """
    return tuple(
        _spec(config, feeds, name, partial(on_status, name) if on_status else None)
        for name in config.cameras
    )


def _spec(config: SiteConfig, feeds: Path, name: str, on_line: OnLine | None) -> ProcessSpec:
    camera = config.cameras[name]
    limit = config.spool_limit_mb * 2**20 // len(config.cameras)
    command = [sys.executable, "-m", "codecsight.video.capture", "--attached"]
    command += ["--stream", stream_name(config.site, name)]
    command += ["--spool", str(config.spool), "--feed", str(feed_path(feeds, name))]
    command += ["--segment", str(camera.segment_s), "--transport", camera.transport]
    command += ["--spool-limit", str(limit)]
    if urlsplit(camera.url).scheme in ("", "file"):
        command.append("--paced")
    if camera.audio:
        command.append("--audio")
    if camera.loop:
        command.append("--loop")
    return ProcessSpec(
        name=recorder_name(name),
        command=tuple(command),
        # In the environment, as any user can read a command line, and the URL holds a password.
        environment={"CODECSIGHT_SOURCE": camera.source_url(name)},
        withheld=config.secret_variables(),
        on_line=on_line,
        silence_s=SILENCE_S,
        frozen_s=FROZEN_S,
        finished_codes=frozenset({END_OF_SOURCE}),
        policy=RestartPolicy(),
        stop_timeout_s=STOP_TIMEOUT_S,
    )
