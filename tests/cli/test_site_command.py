"""The table of `codecsight site`: recording first, then analysis and uplink."""

import io
from typing import Any

from rich.console import Console

from codecsight.cli.site_command import _table

RECORDERS = {
    "gate": {"state": "live", "detail": "", "error": "", "recorder": {"segments": 4}},
    "yard": {
        "state": "down",
        "detail": "rtsp://10.0.0.7/main: connection refused [x]",
        "error": "",
        "recorder": {"segments": 0},
    },
}
STATS = {"fps": 9.94, "cells_kept": 30, "cells_total": 120, "uplink_bytes": 48_200}
LINK = {
    "state": "rejected",
    "detail": "the site 'north' is not in the cloud's list of sites",
    "slots_dropped": 31,
}


def _drawn(**report: Any) -> list[str]:
    empty = {"recorders": RECORDERS, "processes": {}, "cameras": {}, "uplinks": {}, "archive": None}
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(_table({**empty, **report}, "north"))
    return console.export_text().splitlines()


def _row(lines: list[str], camera: str) -> list[str]:
    [line] = [line for line in lines if line.startswith(f"│ {camera} ")]
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_recording_is_shown_before_the_analysis_has_started() -> None:
    lines = _drawn()
    assert _row(lines, "gate")[:3] == ["gate", "live", "4"]
    assert _row(lines, "yard")[1] == "down: rtsp://10.0.0.7/main: connection refused [x]"
    assert any("recording runs already" in line for line in lines)


def test_analysis_and_a_refusal_of_the_uplink_are_shown() -> None:
    lines = _drawn(cameras={"gate": STATS}, uplinks={"north.gate": LINK})
    row = _row(lines, "gate")
    assert row[3:] == ["9.9", "25%", f"rejected {LINK['detail']}", "48", "31"]


def test_a_process_that_is_down_is_named_with_its_reason() -> None:
    processes = {"recorder:yard": {"state": "waiting", "reason": "exit code 1"}}
    assert any("recorder:yard waiting: exit code 1" in line for line in _drawn(processes=processes))
