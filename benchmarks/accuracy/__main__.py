"""`python -m benchmarks.accuracy`: run the accuracy benchmark and update everything made from it.

Writes `benchmarks/results/accuracy.json` (aggregates) and `accuracy-answers.json.gz` beside it
(every answer; git ignores it), then the tables and the plot in README and docs. Takes about 25
minutes of one core.
"""

import argparse
import sys

from benchmarks import tables
from benchmarks.accuracy.result_files import save
from benchmarks.accuracy.run import run
from benchmarks.record import RESULTS


def main() -> None:
    """Run in full; there are no options but `--help`."""
    argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__).parse_args()
    result = run(quick=False, on_progress=lambda what: print(what, file=sys.stderr, flush=True))
    save(result, RESULTS / "accuracy.json")
    tables.write()


if __name__ == "__main__":
    main()
