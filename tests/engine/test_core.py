"""What does the work of a step can be read in one sitting."""

from pathlib import Path

import codecsight.engine

AROUND = {"__init__", "admission", "budget", "config", "errors", "flops", "load", "status", "trial"}
"""Who is let in, what it costs, what is told of it."""


def test_the_engines_core_stays_under_two_thousand_lines() -> None:
    files = Path(codecsight.engine.__file__).parent.glob("*.py")
    core = {file.stem: len(file.read_text().splitlines()) for file in files}
    core = {name: lines for name, lines in core.items() if name not in AROUND}
    assert {"scheduler", "pool", "window", "attention", "session", "passes", "engine"} <= set(core)
    assert sum(core.values()) < 2000, core
