"""From answers to rows: F1, agreement with the dense model, and how sure both are.

*F1* of yes/no questions is that of "yes"; for counts and choices it is the share of right answers
(their micro-F1). Pooled over questions it is micro-F1: a yes that is right, and a right count, is
a hit; a wrong yes is a false alarm, a missing one a miss, and a wrong count both. Where there is
nothing to be found (no yes is true) it is None.

*Agreement* is the share of windows in which an arm says what the dense model says; a *flip* is a
yes/no answer that differs. Both are taken over the questions that can fairly be asked of a window;
`agreement_any` over all that were asked, fair or not.

Intervals are 95% percentile bootstraps over streams: windows of one stream overlap and are alike.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.evaluation import Answers
from benchmarks.accuracy.footage import Footage
from codecsight.core.question import QuestionKind

ALL = "all"
_GOING = {f"{way}{side}" for way in ("enter", "leave") for side in ("", "-left", "-right")}
MOTION = frozenset({"left", "right", "moving", "walking", "running", "fall"} | _GOING)
"""Topics about what moves, comes and goes; all others are about what is there."""
ROUNDS = 1000

# What is counted of every answer, as columns.
_COLUMNS = (
    "hit", "false", "miss", "dense_hit", "dense_false", "dense_miss",
    "fair", "agreed", "to_yes", "to_no", "asked", "agreed_any",
)  # fmt: skip
Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts [streams, columns] of some questions."""

    counts: Counts

    def row(self, rng: np.random.Generator) -> dict[str, Any]:
        """The measures that go into a result."""
        streams = len(self.counts)
        draws = rng.multinomial(streams, np.full(streams, 1 / streams), ROUNDS)
        drawn = draws @ self.counts
        total = self.counts.sum(axis=0, keepdims=True)
        return {
            **_measure("f1", _f1, total, drawn),
            "f1_dense": _value(_f1_dense(total)),
            **_measure("f1_lost", _f1_lost, total, drawn),
            **_measure("agreement", _agreement, total, drawn),
            "agreement_any": _value(_share(total, "agreed_any", "asked")),
            "flips_to_yes": int(_at(total, "to_yes")[0]),
            "flips_to_no": int(_at(total, "to_no")[0]),
            "answers": int(_at(total, "fair")[0]),
        }


def tallies(footages: Sequence[Footage], heard: Answers, dense: Answers) -> dict[str, Tally]:
    """By topic, pooled (`all`), over windows of one content (`all:moving` ..), and over questions
    of one sort (`all:about motion`, `all:about state`).
    """
    found: dict[str, Counts] = {}

    def add(name: str, stream: int, counted: Counts) -> None:
        found.setdefault(name, np.zeros((len(footages), len(_COLUMNS))))[stream] += counted

    for number, each in enumerate(footages):
        for window in each.windows:
            key = each.stream.url, window.index
            for question, topic in each.questions.items():
                counted = _count(
                    question.kind,
                    window.answers.get(question),
                    heard.answers[key][question],
                    dense.answers[key][question],
                )
                sort = "motion" if topic in MOTION else "state"
                for name in (topic, ALL, f"{ALL}:{window.content}", f"{ALL}:about {sort}"):
                    add(name, number, counted)
    return {name: Tally(counts) for name, counts in found.items()}


def _count(kind: QuestionKind, true: str | None, said: str, dense: str) -> Counts:
    counted = dict.fromkeys(_COLUMNS, 0)
    counted["asked"], counted["agreed_any"] = 1, said == dense
    if true is not None:
        counted["fair"], counted["agreed"] = 1, said == dense
        counted["hit"], counted["false"], counted["miss"] = _outcome(kind, true, said)
        names = ("dense_hit", "dense_false", "dense_miss")
        counted.update(zip(names, _outcome(kind, true, dense), strict=True))
        if kind is QuestionKind.YES_NO and said != dense:
            counted["to_yes" if said == "yes" else "to_no"] = 1
    return np.array([counted[name] for name in _COLUMNS], np.float64)


def _outcome(kind: QuestionKind, true: str, said: str) -> tuple[int, int, int]:
    """Hit, false alarm, miss."""
    if kind is QuestionKind.YES_NO:
        yes, there = said == "yes", true == "yes"
        return int(yes and there), int(yes and not there), int(there and not yes)
    right = said == true
    return int(right), int(not right), int(not right)


def _at(counts: Counts, name: str) -> Counts:
    column: Counts = counts[:, _COLUMNS.index(name)]
    return column


def _share(counts: Counts, part: str, whole: str) -> Counts:
    with np.errstate(invalid="ignore"):
        share: Counts = _at(counts, part) / _at(counts, whole)
    return share


def _f1(counts: Counts, of: str = "") -> Counts:
    hit, false, miss = (_at(counts, of + name) for name in ("hit", "false", "miss"))
    there = hit + miss
    with np.errstate(invalid="ignore", divide="ignore"):
        f1: Counts = np.where(there > 0, 2 * hit / (2 * hit + false + miss), np.nan)
    return f1


def _f1_dense(counts: Counts) -> Counts:
    return _f1(counts, "dense_")


def _f1_lost(counts: Counts) -> Counts:
    """By how much ours is below the dense model's."""
    return _f1_dense(counts) - _f1(counts)


def _agreement(counts: Counts) -> Counts:
    return _share(counts, "agreed", "fair")


def _measure(name: str, measure: Any, total: Counts, drawn: Counts) -> dict[str, float | None]:
    values = measure(drawn)
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, (2.5, 97.5)) if len(values) else (np.nan, np.nan)
    return {
        name: _value(measure(total)),
        f"{name}_low": _value(np.array([low])),
        f"{name}_high": _value(np.array([high])),
    }


def _value(of: Counts) -> float | None:
    return None if np.isnan(of[0]) else round(float(of[0]), 4)


def macro(rows: Iterable[dict[str, Any]], key: str) -> float | None:
    """The mean over questions of those that have one."""
    values = [row[key] for row in rows if row[key] is not None]
    return round(float(np.mean(values)), 4) if values else None
