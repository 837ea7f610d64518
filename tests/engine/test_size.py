"""The code that does the work of a step stays short enough to be read in one sitting."""

from pathlib import Path

import codecsight.engine

SUPPORT = {"__init__", "config", "errors", "results"}
"""Modules of values; admission and accounting are in `resources`, the reference in `naive`."""


def test_the_core_of_the_engine_stays_under_two_thousand_lines() -> None:
    folder = Path(codecsight.engine.__file__).parent
    files = [*folder.glob("*.py"), *folder.glob("attention/*.py")]
    core = {file.stem: len(file.read_text().splitlines()) for file in files}
    core = {name: lines for name, lines in core.items() if name not in SUPPORT}
    assert {"scheduler", "pool", "window", "kernels", "session", "model_runner", "engine"} <= set(
        core
    )
    assert sum(core.values()) < 2000, core
