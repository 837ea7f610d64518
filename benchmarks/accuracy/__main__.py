"""`python -m benchmarks.accuracy`: run the bench in full, keep its result, and write the tables and
plots that are made from it anew.
"""

import sys

from benchmarks import tables
from benchmarks.accuracy.run import run
from benchmarks.record import RESULTS, told


def main() -> None:
    """Some twenty minutes of one core."""
    result = run(quick=False, say=lambda what: print(what, file=sys.stderr, flush=True))
    (RESULTS / "accuracy.json").write_text(told(result), encoding="utf-8")
    tables.write()


if __name__ == "__main__":
    main()
