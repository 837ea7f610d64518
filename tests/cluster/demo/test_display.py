"""The demo's terminal output: a table row per camera, and lines without a terminal."""

import io

from rich.console import Console

from cluster.demo.display import display, fleet_table, show_summary
from cluster.demo.startup import MODEL, StartUp, first_answer, steps_of
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


def test_without_a_terminal_each_step_is_printed_once_with_what_is_still_waited_for() -> None:
    console, text = _console()
    start = StartUp(steps_of(["demo.yard", "demo.hall"]))
    with display(console) as show:
        for _ in range(3):
            news = start.mark([MODEL, first_answer("demo.yard")])
            show.starting(start, news, _metrics())
        for second in range(5):
            show.watching(second, 60, _metrics())
    lines = text.getvalue().splitlines()
    assert len(lines) == 4
    assert "1/8 ready: model" in lines[0]
    assert "2/8 ready: first answer for yard Is there a person? yes (93%)" in lines[1]
    assert "waiting for compiled image code (once), Ray of the cloud, Ray of the site" in lines[2]
    assert lines[3] == "watching: 2 cameras, for 60 s"


def test_a_terminal_shows_a_bar_and_what_is_waited_for() -> None:
    text = io.StringIO()
    console = Console(file=text, width=140, force_terminal=True)
    start = StartUp(steps_of(["demo.yard"]))
    with display(console) as show:
        show.starting(start, start.mark([MODEL]), _metrics())
    assert "waiting for compiled image code (once), Ray of the cloud" in text.getvalue()
    assert "\u2501" in text.getvalue()


def test_a_summary_without_data_does_not_divide_by_zero() -> None:
    console, text = _console()
    show_summary(console, summarise(DemoMetrics(), ArchiveCheck(0, 0, 0), {}, 0.0, 0))
    assert "none" in text.getvalue()
