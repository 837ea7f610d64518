"""Segments that the store refuses while it accepts others: tried again later and later.

They stay in the spool. Nobody can tell from outside whether the store will take a segment next
time, so none is given up; but one that fails must not delay the others.
"""

from collections.abc import Iterable
from pathlib import Path

FIRST_S = 60.0
MAX_S = 3600.0
MAX_EXPONENT = 16


class Postponement:
    """When each failed row may be tried again. All times are monotonic seconds of the caller.

    The n-th failure of a row postpones it by 60 s * 2^(n - 1), at most an hour.
    """

    def __init__(self) -> None:
        self._failures: dict[Path, int] = {}
        self._due: dict[Path, float] = {}

    def failed(self, rows: Iterable[Path], now: float) -> None:
        """Postpone rows that have failed once more."""
        for row in rows:
            count = self._failures[row] = self._failures.get(row, 0) + 1
            self._due[row] = now + min(FIRST_S * 2 ** min(count - 1, MAX_EXPONENT), MAX_S)

    def due(self, rows: list[Path], now: float) -> list[Path]:
        """Those of all finished rows that may be tried now. Forgets rows that are gone."""
        present = set(rows)
        self._failures = {row: n for row, n in self._failures.items() if row in present}
        self._due = {row: time for row, time in self._due.items() if row in present}
        return [row for row in rows if self._due.get(row, now) <= now]

    def count(self, rows: Iterable[Path]) -> int:
        """How many of the rows have failed while others did not."""
        return sum(row in self._failures for row in rows)
