"""`codecsight site`: run an edge site as configured in site.yaml."""

import os
import sys
from typing import Any

from rich.live import Live
from rich.table import Table

from codecsight.cli.options import AsJson, ConfigFile
from codecsight.cli.output import err, print_json


def site(config: ConfigFile, as_json: AsJson = False) -> None:
    """Run an edge site: record the cameras, send changed cells to the cloud, archive the video.

    Recording starts first and continues through failures of Ray, the network and the cloud. Runs
    until SIGTERM or Ctrl-C, then finishes and uploads the segments. With --json it prints the state
    of all cameras and processes as one line of JSON every two seconds.

    Example: `codecsight site -c site.yaml`
    """
    from cluster.shutdown import stop_on_signals
    from cluster.site_runtime import run_site
    from codecsight.config import SiteConfig, load_config

    settings = load_config(config, SiteConfig)
    stop = stop_on_signals()
    if as_json:
        run_site(settings, stop, _report)
    elif err.is_terminal:
        with Live(console=err, refresh_per_second=2) as live:
            run_site(settings, stop, lambda report: live.update(_table(report)))
    else:
        run_site(settings, stop, lambda _: None)


def _report(report: dict[str, Any]) -> None:
    """Print a report. A closed pipe must not end the recording: discard output from then on."""
    try:
        print_json(report)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _table(report: dict[str, Any]) -> Table:
    archive = report["archive"] or {}
    table = Table(
        *("camera", "state", "fps", "kept", "uplink kB", "segments", "anomalies"),
        caption=f"archived {archive.get('uploaded', '?')}, queued {archive.get('queued', '?')} "
        f"{archive.get('last_error', '')}{_not_running(report['processes'])}",
    )
    for name, row in report["cameras"].items():
        table.add_row(
            name,
            row["state"],
            f"{row['fps']:.1f}",
            f"{row['cells_kept'] / max(row['cells_total'], 1):.0%}",
            f"{row['uplink_bytes'] / 1000:.0f}",
            str(row["segments"]),
            str(row["anomalies"]),
        )
    return table


def _not_running(processes: dict[str, Any]) -> str:
    """A line per process that is down, with the reason."""
    return "".join(
        f"\n{name} {row['state']}: {row['reason']}"
        for name, row in processes.items()
        if row["state"] not in ("starting", "running")
    )
