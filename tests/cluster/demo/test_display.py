"""The demo's terminal output: a table row per camera, and lines without a terminal."""

import io

from rich.console import Console

from cluster.demo.display import display, fleet_table, show_summary
from cluster.demo.summary import ArchiveCheck, DemoMetrics, summarise
from codecsight.core.answer import Answer
from codecsight.uplink.fleet import StreamStatus
from codecsight.uplink.messages import CameraStats


def _metrics() -> DemoMetrics:
    answer = Answer("demo.yard", "Is there a person?", True, 0.93, 0.0, 1.5, 1e9, 12.0, 30, 96)
    camera = CameraStats("live", 100, 9.97, 50_000, 1000, 30, 96, 2, 0, 0, 3)
    metrics = DemoMetrics()
    status = StreamStatus("demo", "demo.yard", "live", camera, "gpu:n:0", 1, 60, 40, (answer,))
    silent = StreamStatus("demo", "demo.hall", "waiting", None, "gpu:n:0", 1, 0, 0, ())
    metrics.add([status, silent], ())
    return metrics


def _console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=140), text


def test_a_row_shows_state_rate_kept_share_and_answer() -> None:
    console, text = _console()
    console.print(fleet_table(_metrics()))
    for part in ("yard", "live", "10.0", "31%", "yes (93%)", "hall", "waiting"):
        assert part in text.getvalue()


def test_without_a_terminal_each_phase_is_printed_once() -> None:
    console, text = _console()
    with display(console) as show:
        for second in range(5):
            show(f"watching, {second} of 60 s", _metrics())
    assert text.getvalue().count("watching") == 1


def test_a_summary_without_data_does_not_divide_by_zero() -> None:
    console, text = _console()
    show_summary(console, summarise(DemoMetrics(), ArchiveCheck(0, 0, 0), {}, 0.0, 0))
    assert "none" in text.getvalue()
