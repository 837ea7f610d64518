"""Scores of answers: F1, agreement with the dense model, and their confidence intervals.

*F1* of a yes/no question is that of "yes"; of a count or a choice it is the share of right answers
(their micro-F1). Over several questions it is the micro-F1: a right yes and a right count are true
positives; a wrong yes is a false positive, a missing yes a false negative, a wrong count both.
It is None where no positive exists.

*Agreement* is the share of answers equal to the dense model's; a *flip* is a yes/no answer that
differs. Both cover the fair questions of a window, those on which people would agree;
`agreement_any` covers all questions asked.

Intervals are 95% percentile bootstraps over streams, because windows of one stream overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.evaluation import Answers
from benchmarks.accuracy.footage import Window
from codecsight.core.question import Question, QuestionKind

ALL = "all"
_COMING_AND_GOING = {
    f"{way}{side}" for way in ("enter", "leave") for side in ("", "-left", "-right")
}
MOTION = frozenset({"left", "right", "moving", "walking", "running", "fall"} | _COMING_AND_GOING)
"""Topics about motion, coming and going; all other topics are about state."""
ROUNDS, SEED = 1000, 7
"""Bootstrap samples, and the seed of the bootstrap over streams."""

# Columns of the counts.
_COLUMNS = (
    "hit", "false", "miss", "dense_hit", "dense_false", "dense_miss",
    "fair", "agreed", "to_yes", "to_no", "asked", "agreed_any",
)  # fmt: skip
Counts = NDArray[np.float64]


class Labelled(Protocol):
    """A stream's windows with their true answers, and its questions with their topics."""

    @property
    def url(self) -> str:
        """Name of the stream."""

    @property
    def windows(self) -> Sequence[Window]:
        """Windows in the order of time."""

    @property
    def questions(self) -> Mapping[Question, str]:
        """Topics of all questions."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts [streams, columns] of a group of questions."""

    counts: Counts

    def row(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return the scores of a result row."""
        streams = len(self.counts)
        weights = rng.multinomial(streams, np.full(streams, 1 / streams), ROUNDS)
        samples = weights @ self.counts
        total = self.counts.sum(axis=0, keepdims=True)
        return {
            **_with_interval("f1", _f1, total, samples),
            "f1_dense": _value(_f1_dense(total)),
            **_with_interval("f1_lost", _f1_lost, total, samples),
            **_with_interval("agreement", _agreement, total, samples),
            "agreement_any": _value(_share(total, "agreed_any", "asked")),
            "flips_to_yes": int(_at(total, "to_yes")[0]),
            "flips_to_no": int(_at(total, "to_no")[0]),
            "answers": int(_at(total, "fair")[0]),
        }


def score_rows(
    streams: Sequence[Labelled], answers: Answers, dense: Answers
) -> list[dict[str, Any]]:
    """Return the scores of a variant: one row for each topic and each group of topics.

    The row over all questions also has the mean F1 over topics and the number of windows.
    """
    by_topic, rng = tallies(streams, answers, dense), np.random.default_rng(SEED)
    rows = [{"question": name, **tally.row(rng)} for name, tally in sorted(by_topic.items())]
    topics = [row for row in rows if not row["question"].startswith(ALL)]
    pooled = next(row for row in rows if row["question"] == ALL)
    pooled |= {
        "f1_macro": macro(topics, "f1"),
        "f1_dense_macro": macro(topics, "f1_dense"),
        "windows": sum(len(each.windows) for each in streams),
        "streams": len(streams),
    }
    return rows


def tallies(streams: Sequence[Labelled], answers: Answers, dense: Answers) -> dict[str, Tally]:
    """Count answers for each topic, and in groups of all topics.

    Groups: `all`; windows of one content (`all:moving`, ...); questions of one kind (`all:about
    motion`, `all:about state`).
    """
    by_name: dict[str, Counts] = {}

    def add(name: str, stream: int, counted: Counts) -> None:
        by_name.setdefault(name, np.zeros((len(streams), len(_COLUMNS))))[stream] += counted

    for number, each in enumerate(streams):
        for window in each.windows:
            key = each.url, window.index
            for question, topic in each.questions.items():
                counted = _count(
                    question.kind,
                    window.answers.get(question),
                    answers.answers[key][question],
                    dense.answers[key][question],
                )
                kind = "motion" if topic in MOTION else "state"
                for name in (topic, ALL, f"{ALL}:{window.content}", f"{ALL}:about {kind}"):
                    add(name, number, counted)
    return {name: Tally(counts) for name, counts in by_name.items()}


def _count(kind: QuestionKind, true: str | None, answer: str, dense: str) -> Counts:
    counted = dict.fromkeys(_COLUMNS, 0)
    counted["asked"], counted["agreed_any"] = 1, answer == dense
    if true is not None:
        counted["fair"], counted["agreed"] = 1, answer == dense
        counted["hit"], counted["false"], counted["miss"] = _outcome(kind, true, answer)
        names = ("dense_hit", "dense_false", "dense_miss")
        counted.update(zip(names, _outcome(kind, true, dense), strict=True))
        if kind is QuestionKind.YES_NO and answer != dense:
            counted["to_yes" if answer == "yes" else "to_no"] = 1
    return np.array([counted[name] for name in _COLUMNS], np.float64)


def _outcome(kind: QuestionKind, true: str, answer: str) -> tuple[int, int, int]:
    """Return true positives, false positives and false negatives of one answer."""
    if kind is QuestionKind.YES_NO:
        positive, present = answer == "yes", true == "yes"
        return (
            int(positive and present),
            int(positive and not present),
            int(present and not positive),
        )
    right = answer == true
    return int(right), int(not right), int(not right)


def _at(counts: Counts, name: str) -> Counts:
    column: Counts = counts[:, _COLUMNS.index(name)]
    return column


def _share(counts: Counts, part: str, whole: str) -> Counts:
    with np.errstate(invalid="ignore"):
        share: Counts = _at(counts, part) / _at(counts, whole)
    return share


def _f1(counts: Counts, prefix: str = "") -> Counts:
    hit, false, miss = (_at(counts, prefix + name) for name in ("hit", "false", "miss"))
    positives = hit + miss
    with np.errstate(invalid="ignore", divide="ignore"):
        f1: Counts = np.where(positives > 0, 2 * hit / (2 * hit + false + miss), np.nan)
    return f1


def _f1_dense(counts: Counts) -> Counts:
    return _f1(counts, "dense_")


def _f1_lost(counts: Counts) -> Counts:
    """F1 of the dense model minus the variant's F1."""
    return _f1_dense(counts) - _f1(counts)


def _agreement(counts: Counts) -> Counts:
    return _share(counts, "agreed", "fair")


def _with_interval(
    name: str, measure: Any, total: Counts, samples: Counts
) -> dict[str, float | None]:
    values = measure(samples)
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, (2.5, 97.5)) if len(values) else (np.nan, np.nan)
    return {
        name: _value(measure(total)),
        f"{name}_low": _value(np.array([low])),
        f"{name}_high": _value(np.array([high])),
    }


def _value(values: Counts) -> float | None:
    return None if np.isnan(values[0]) else round(float(values[0]), 4)


def macro(rows: Iterable[dict[str, Any]], key: str) -> float | None:
    """Mean of a score over the rows that have one."""
    values = [row[key] for row in rows if row[key] is not None]
    return round(float(np.mean(values)), 4) if values else None
