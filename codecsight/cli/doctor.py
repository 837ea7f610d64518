"""`codecsight doctor`: measure a source and estimate the cost of analysing it."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.text import Text

from codecsight.cli.options import AsJson, Policy, Transport
from codecsight.cli.output import err, out, print_json

if TYPE_CHECKING:
    from codecsight.video.report import ProbeReport


def doctor(
    source: Annotated[
        str, typer.Argument(help="Video file, rtsp:// URL, or world://NAME (simulated).")
    ],
    seconds: Annotated[
        float, typer.Option(help="Seconds of stream time to measure.", min=1)
    ] = 15.0,
    policy: Policy = "tracked",
    transport: Transport = "tcp",
    as_json: AsJson = False,
) -> None:
    """Measure a video source and give advice.

    Prints a verdict in one line, the measurements (codec, frame rate as sent and as declared, GOP,
    codec signals, losses, CPU time, share of cells sent to the cloud), and advice. A camera that
    was joined between two key frames is waited for, up to 90 s.

    With --json one object: fine, verdict, advice, url; codec, profile, width, height, orientation,
    sample_aspect, shown_sizes (width, height), model_input (width, height), large_enough; seconds
    (of stream time), frames, frame_types, b_frames, declared_fps, measured_fps, pauses (s),
    polled_s (interval of a still picture, 0 for video), sound (empty if there is none);
    gop_frames, gop_seconds, key_frame_wait_s,
    bitrate (bit/s), motion, intra (whether the codec has these signals), anomalies; decode_ms,
    tracking_ms (CPU per frame), cpu_per_stream (cores), streams_per_core; kept_share (cells sent,
    anchors included), changed_share (without anchors), cells, reasons (cells sent by reason),
    ignore (polygons of places that always change), noise (grey levels, 0-255), camera_moves (share
    of frames). What is unknown is null.

    Example: `codecsight doctor rtsp://10.0.0.7/main --seconds 30`
    """
    row = _examine(source, seconds, policy, transport)
    if as_json:
        print_json(row)
    else:
        _show(row)


def _examine(
    source: str, seconds: float, policy: str, transport: Literal["tcp", "udp"]
) -> dict[str, Any]:
    """Everything that is printed with --json."""
    from codecsight.change.warm_up import warm_up
    from codecsight.cli.diagnosis.display import verdict
    from codecsight.cli.diagnosis.tracking import TrackingStatistics
    from codecsight.video.capture.source import SourceOptions
    from codecsight.video.probe import probe
    from codecsight.video.report import findings

    tracking = TrackingStatistics(policy)
    with err.status("preparing: the first time on a machine takes up to a minute") as status:
        report = probe(
            source,
            seconds,
            SourceOptions(transport=transport),
            tracking.add,
            on_stage=lambda stage: status.update(f"{stage} ({seconds:g} s of stream are measured)"),
            prepare=lambda: warm_up(policy),
        )
    row = asdict(report) | tracking.row() | _cost(report, tracking.ms)
    found = [*findings(report), *tracking.findings()]
    row["advice"] = [each.advice for each in found]
    fine = all(each.minor for each in found)
    return {"fine": fine, "verdict": verdict(row, found), **row}


def _cost(report: "ProbeReport", tracking_ms: float | None) -> dict[str, float | None]:
    """CPU cost: tracking time in ms per frame, and cores per stream and streams per core, decoding
    included. None where it is not known.
    """
    if tracking_ms is None or not report.measured_fps:
        return {"tracking_ms": None, "cpu_per_stream": None, "streams_per_core": None}
    cores = (report.decode_ms + tracking_ms) * report.measured_fps / 1000
    return {
        "tracking_ms": round(tracking_ms, 3),
        "cpu_per_stream": round(cores, 5),
        "streams_per_core": round(1 / cores, 1) if cores else None,
    }


def _show(row: dict[str, Any]) -> None:
    from codecsight.cli.diagnosis.display import table

    colour = "green" if row["fine"] else "yellow"
    out.print(Text(row["verdict"], style=f"bold {colour}"), soft_wrap=True)
    out.print(table(row))
    for sentence in row["advice"]:
        out.print(f"• {sentence}", highlight=False, markup=False, soft_wrap=not out.is_terminal)
