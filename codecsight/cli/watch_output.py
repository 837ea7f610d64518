"""Output of `codecsight watch`: a table on a terminal, lines in a pipe."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.markup import escape
from rich.table import Table

from codecsight.cli.output import err, print_json

if TYPE_CHECKING:
    from codecsight.core.answer import Answer, Value
    from codecsight.watch import WatchedSource, Watcher

_DIGITS = {"probability": 4, "start": 3, "end": 3, "latency_ms": 1, "age_s": 1}


def print_json_lines(watching: "Watcher") -> None:
    """Print each answer as one line of JSON."""
    for answer in watching.answers():
        print_json(answer_row(answer))


def print_lines(watching: "Watcher") -> None:
    """Print each answer as one line of text."""
    for answer in watching.answers():
        value = " ".join(value_text(answer.value).split())
        sys.stdout.write(
            f"{answer.stream}  {answer.end:.1f} s  {answer.question}  {value}"
            f"  (p {answer.probability:.2f})\n"
        )
        sys.stdout.flush()


def show_table(watching: "Watcher") -> None:
    """Show the newest answers in a table on the terminal, on standard error."""
    with Live(get_renderable=lambda: _table(watching), console=err, refresh_per_second=4):
        for _ in watching.answers():
            pass


def answer_row(answer: "Answer") -> dict[str, Any]:
    """An answer as a dictionary for JSON output, with rounded numbers."""
    row = asdict(answer)
    for key, digits in _DIGITS.items():
        row[key] = round(row[key], digits)
    return row


def value_text(value: "Value") -> str:
    """The value of an answer as a person reads it: yes or no, a number, a text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _table(watching: "Watcher") -> Table:
    table = Table("stream", "state", "frames", "kept", "at", "question", "answer", "p", "ms")
    for watched in watching.watched:
        counters = watched.camera.counters
        kept = f"{counters.cells_kept / max(counters.cells_total, 1):.0%}"
        head = [escape(watched.stream), escape(_state(watched)), str(counters.frames), kept]
        if not watched.latest_answers and not watched.partial_answers:
            table.add_row(*head)
        for answer in list(watched.latest_answers.values()):  # a copy: another thread renders
            table.add_row(
                *head,
                f"{answer.end:.0f} s",
                escape(answer.question),
                escape(value_text(answer.value)),
                f"{answer.probability:.2f}",
                f"{answer.latency_ms:.0f}",
            )
            head = [""] * len(head)
        for question, text in list(watched.partial_answers.items()):
            table.add_row(*head, "now", escape(question), f"{escape(text)} ...")
            head = [""] * len(head)
    return table


def _state(watched: "WatchedSource") -> str:
    """The state of a source, with its reason or what is unusual about it."""
    if watched.error:
        return "failed"
    state, detail = watched.source.state.value, watched.source.state_detail
    return f"{state}: {detail}" if detail else state
