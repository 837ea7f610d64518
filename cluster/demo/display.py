"""The demo's terminal output: progress of the start, a live table of cameras, and the summary."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cluster.demo.plan import QUESTIONS
from cluster.demo.startup import StartUp, first_answer
from cluster.demo.summary import DemoMetrics
from codecsight.core.answer import Answer
from codecsight.uplink.fleet import StreamStatus


class Display(Protocol):
    """Where the demo shows how far it is."""

    def starting(self, start: StartUp, news: Sequence[str], metrics: DemoMetrics) -> None:
        """Show what the start still waits for; `news` are the steps that have just ended."""

    def watching(self, elapsed: float, seconds: float, metrics: DemoMetrics) -> None:
        """Show the cameras, after `elapsed` of `seconds`."""


@contextmanager
def display(console: Console) -> Iterator[Display]:
    """Yield a live table with a progress bar on a terminal, elsewhere one line per step."""
    if not console.is_terminal:
        yield _LineDisplay(console)
        return
    with Live(console=console, refresh_per_second=4) as live:
        yield _LiveDisplay(live)


class _LiveDisplay:
    def __init__(self, live: Live) -> None:
        self._live = live

    def starting(self, start: StartUp, news: Sequence[str], metrics: DemoMetrics) -> None:
        del news
        head = f"starting, {start.seconds:.0f} s; waiting for {', '.join(start.waiting[:4])}"
        self._show(head, len(start.done), len(start.steps), metrics)

    def watching(self, elapsed: float, seconds: float, metrics: DemoMetrics) -> None:
        self._show(f"watching, {elapsed:.0f} of {seconds:.0f} s", elapsed, seconds, metrics)

    def _show(self, head: str, done: float, total: float, metrics: DemoMetrics) -> None:
        bar = ProgressBar(total=total, completed=min(done, total), width=60)
        self._live.update(Group(Text(head, style="bold"), bar, fleet_table(metrics)))


class _LineDisplay:
    """Prints a line for each step that has ended, and one when the cameras are watched."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._watching = False

    def starting(self, start: StartUp, news: Sequence[str], metrics: DemoMetrics) -> None:
        for number, step in enumerate(news, len(start.done) - len(news) + 1):
            count = f"{number}/{len(start.steps)}"
            self._print(f"[{start.done[step]:4.0f} s] {count} ready: {step}{_text(step, metrics)}")
        if news and start.waiting:
            self._print(f"         waiting for {', '.join(start.waiting[:4])}")

    def watching(self, elapsed: float, seconds: float, metrics: DemoMetrics) -> None:
        del elapsed
        if not self._watching:
            self._print(f"watching: {len(metrics.streams)} cameras, for {seconds:.0f} s")
        self._watching = True

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def _text(step: str, metrics: DemoMetrics) -> str:
    """The answers of the camera whose first answer the step is."""
    found = [
        f" {answer.question} {_answer(answer)}"
        for name, status in metrics.streams.items()
        if step == first_answer(name)
        for answer in status.answers[:1]
    ]
    return "".join(found)


def fleet_table(metrics: DemoMetrics) -> Table:
    """One row per camera: state, uplink and newest answers."""
    table = Table(*("camera", "state", "fps", "kept", "kB/s", "tokens"), *QUESTIONS, "ms")
    for name, status in sorted(metrics.streams.items()):
        answers = {answer.question: answer for answer in status.answers}
        table.add_row(
            *_camera_columns(name, status, metrics.uplink_rate(name)),
            *(_answer(answers.get(question)) for question in QUESTIONS),
            f"{max(a.latency_ms for a in status.answers):.0f}" if status.answers else "",
        )
    return table


def _camera_columns(name: str, status: StreamStatus, rate: float) -> list[str]:
    camera = status.camera
    name = name.partition(".")[2]
    if camera is None:
        return [name, status.state, "", "", "", str(status.tokens)]
    kept = f"{camera.cells_kept / max(camera.cells_total, 1):.0%}"
    return [
        *(name, camera.state, f"{camera.fps:.1f}", kept),
        *(f"{rate / 1000:.1f}", str(status.tokens)),
    ]


def _answer(answer: Answer | None) -> str:
    if answer is None:
        return ""
    value = answer.value
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return f"{text} ({answer.probability:.0%})"


def show_summary(console: Console, row: dict[str, Any]) -> None:
    """Print the result of `summarise` as a table."""
    table = Table(title=f"{len(row['cameras'])} cameras, {row['seconds']:.0f} s", show_header=False)
    table.add_row("video from the cameras", _megabytes(row["source_bytes"]))
    sent = _share(row["uplink_bytes"], row["source_bytes"])
    table.add_row("sent to the cloud", f"{_megabytes(row['uplink_bytes'])} ({sent})")
    kept = _share(row["cells_kept"], row["cells_total"])
    table.add_row("visual tokens", f"{row['cells_kept']} of {row['cells_total']} dense ({kept})")
    for part, name in (("vit", "ViT"), ("llm", "language model")):
        table.add_row(f"{name} FLOPs", _flops(row["flops_by_part"], part))
    table.add_row("answers", str(len(row["answers"])))
    for question, score in row["answers_against_truth"].items():
        right, constant = (
            _share(score[k], score["checked"]) for k in ("right", "best_constant_right")
        )
        text = f"{right} of {score['checked']} correct (best constant answer: {constant})"
        table.add_row(question, text)
    table.add_row("segments archived", str(row["segments_archived"]))
    table.add_row("segments verified", str(row["segments_verified"]))
    console.print(table)


def _flops(parts: dict[str, Any], part: str) -> str:
    spent = parts["spent"][part]
    baselines = {
        "dense windows, recomputed each time": parts["dense_windows"][part],
        "dense slots, computed once": parts["dense_slots"][part],
    }
    lines = [f"{_share(spent, dense)} of {name} ({dense:.3g})" for name, dense in baselines.items()]
    return "\n".join([f"{spent:.3g}", *lines])


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "none"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.2f} MB"
