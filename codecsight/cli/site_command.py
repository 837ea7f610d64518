"""`codecsight site`: run an edge site as configured in site.yaml."""

import os
import sys
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from codecsight.cli.options import AsJson, ConfigFile
from codecsight.cli.output import err, print_json

SHOWN_LAG_S = 3.0


def site(
    config: ConfigFile,
    as_json: AsJson = False,
    dashboard: Annotated[
        bool,
        typer.Option(
            "--dashboard",
            help="Start Ray's dashboard, too: ten processes and 200 MB. Its address is logged.",
        ),
    ] = False,
) -> None:
    """Run an edge site: record the cameras, send changed cells to the cloud, archive the video.

    Recording starts first and continues through failures of Ray, the network and the cloud. Runs
    until SIGTERM or Ctrl-C, then finishes and uploads the segments. With --json it prints the state
    of all cameras and processes as one line of JSON every two seconds.

    Example: `codecsight site -c site.yaml`
    """
    from cluster.shutdown import stop_on_signals
    from cluster.site_runtime import run_site
    from codecsight.config import load_site

    settings = load_site(config)
    stop = stop_on_signals()
    if as_json:
        run_site(settings, stop, _report, dashboard=dashboard)
    elif err.is_terminal:
        with Live(console=err, refresh_per_second=2) as live:

            def show(report: dict[str, Any]) -> None:
                live.update(_table(report, settings.site))

            run_site(settings, stop, show, dashboard=dashboard)
    else:
        run_site(settings, stop, lambda _: None, dashboard=dashboard)


def _report(report: dict[str, Any]) -> None:
    """Print a report. A closed pipe must not end the recording: discard output from then on."""
    try:
        print_json(report)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _table(report: dict[str, Any], site: str) -> Table:
    archive = report["archive"] or {}
    table = Table(
        *("camera", "source", "segments", "fps", "kept", "uplink", "sent kB", "dropped"),
        caption=f"archived {archive.get('uploaded', '?')}, queued {archive.get('queued', '?')} "
        f"{archive.get('last_error', '')}{_not_running(report)}",
    )
    for name in sorted({*report["recorders"], *report["cameras"]}):
        table.add_row(name, *_recording(report, name), *_analysis(report, name, f"{site}.{name}"))
    return table


def _recording(report: dict[str, Any], camera: str) -> list[str]:
    """State of the source, or what is wrong with it, and the number of recorded segments."""
    status = report["recorders"].get(camera, {"state": "starting", "recorder": {}})
    detail = status.get("error") or status.get("detail")
    state = f"{status['state']}: {detail}" if detail else status["state"]
    return [escape(state), str(status["recorder"].get("segments", 0))]


def _analysis(report: dict[str, Any], camera: str, stream: str) -> list[str]:
    """Rate, share of cells, state of the uplink, bytes sent and slots dropped."""
    stats, link = report["cameras"].get(camera), report["uplinks"].get(stream, {})
    if stats is None:
        return ["", "", link.get("state", "starting")]
    return [
        f"{stats['fps']:.1f}",
        f"{stats['cells_kept'] / max(stats['cells_total'], 1):.0%}",
        escape(f"{link.get('state', 'starting')} {link.get('detail', '')}".strip() + _lag(link)),
        f"{stats['uplink_bytes'] / 1000:.0f}",
        str(link.get("slots_dropped", 0)),
    ]


def _lag(link: dict[str, Any]) -> str:
    """How far the uplink is behind, if that is worth a word."""
    lag_s = link.get("lag_s", 0.0)
    return f", {lag_s:.0f} s behind" if lag_s >= SHOWN_LAG_S else ""


def _not_running(report: dict[str, Any]) -> str:
    """A line per process that is down, with the reason, or that has not reported yet."""
    waiting = "" if report["cameras"] else "\nanalysis: starting Ray; recording runs already"
    return waiting + "".join(
        f"\n{escape(name)} {row['state']}: {escape(row['reason'])}"
        for name, row in report["processes"].items()
        if row["state"] not in ("starting", "running")
    )
