"""Forwarding of actors' log lines to this process's standard error, as they were written.

Ray prefixes each line with a coloured actor name and merges similar ones; then JSON is no longer
JSON. The dispatcher is internal to Ray, whose version is pinned; a test checks that it works.
"""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from codecsight.logs import LogFormat, log_format

_RAY_HANDLER = "ray_print_logs"


def forward_actor_logs() -> None:
    """Replace Ray's printing of its workers' output. Call it after `ray.init`."""
    from ray._private.ray_logging import global_worker_stdstream_dispatcher as dispatcher

    dispatcher.remove_handler(_RAY_HANDLER)
    dispatcher.add_handler(_RAY_HANDLER, _write)


def _write(batch: Mapping[str, Any]) -> None:
    """Write the lines of one batch: of one worker process, with its actor's name."""
    if batch.get("pid") == "autoscaler":
        return  # Ray's report of its own state every few seconds, also where it scales nothing
    process = str(batch.get("actor_name") or batch.get("pid", "ray"))
    as_json = log_format() is LogFormat.JSON
    for line in batch["lines"]:
        sys.stderr.write((_as_json(line, process) if as_json else line) + "\n")
    sys.stderr.flush()


def _as_json(line: str, process: str) -> str:
    """The line itself if it is an object, else an object around it: a library printed it."""
    if line.startswith("{"):
        return line
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    record = {"timestamp": now, "level": "info", "event": line, "process": process}
    return json.dumps(record)
