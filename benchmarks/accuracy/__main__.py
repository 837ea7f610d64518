"""`python -m benchmarks.accuracy`: run the accuracy benchmark and update everything made from it.

Writes `benchmarks/results/accuracy.json`, then the tables and the plot in README and docs. Takes
about 25 minutes of one core.
"""

import argparse
import sys

from benchmarks import tables
from benchmarks.accuracy.run import run
from benchmarks.record import RESULTS, rows_json


def main() -> None:
    """Run in full; there are no options but `--help`."""
    argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__).parse_args()
    result = run(quick=False, on_progress=lambda what: print(what, file=sys.stderr, flush=True))
    (RESULTS / "accuracy.json").write_text(rows_json(result), encoding="utf-8")
    tables.write()


if __name__ == "__main__":
    main()
