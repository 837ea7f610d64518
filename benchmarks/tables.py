"""`python -m benchmarks.tables`: write the measured parts of README and docs from results.

With `--check` nothing is written; the exit status tells whether they are up to date.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import measured
from benchmarks.accuracy.report import peers, plot
from benchmarks.accuracy.report import tables as report
from benchmarks.edge import tables as edge
from benchmarks.markdown import wrap_prose
from benchmarks.record import RESULTS
from benchmarks.result_file import read_result

ROOT = RESULTS.parents[1]
README, ACCURACY = ROOT / "README.md", ROOT / "docs" / "accuracy.md"
MEASURED, SIGNALS = ROOT / "docs" / "measured.md", ROOT / "docs" / "codec-signals.md"
FRONTIER = ROOT / "docs" / "pictures" / "accuracy.svg"
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def main() -> None:
    """Update the files, or check that they are up to date."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="check only; write nothing")
    if parser.parse_args().check:
        sys.exit(
            f"{', '.join(found)}: run python -m benchmarks.tables" if (found := outdated()) else 0
        )
    write()


def write() -> None:
    """Write every file that is generated from results."""
    for path, text in generated_files().items():
        path.write_text(text, encoding="utf-8")


def outdated() -> list[str]:
    """Return the names of files that are missing or differ from what the results generate."""
    return [
        path.name
        for path, text in generated_files().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def generated_files() -> dict[Path, str]:
    """Return the text of every file that is generated, wholly or in parts, from results."""
    answers, edge_result = _load("accuracy"), _load("edge")
    docs = ACCURACY.read_text(encoding="utf-8")
    return {
        README: _between(README.read_text("utf-8"), peers.readme_part(answers)),
        MEASURED: measured.page({name: _load(name) for name in measured.RESULT_NAMES}),
        SIGNALS: _between(SIGNALS.read_text("utf-8"), edge.all_tables(edge_result)),
        ACCURACY: report.replace_parts(docs, report.parts(answers)),
        FRONTIER: plot.svg(answers),
    }


def _between(text: str, measured: str) -> str:
    """Return the text with the part between BEGIN and END replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{wrap_prose(measured)}\n{END}{tail}"


def _load(name: str) -> dict[str, Any]:
    return read_result(RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
