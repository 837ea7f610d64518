"""Free text: scenes described in the model's own words, on a few streams.

*Same* is the share of windows in which a pair of policies says word for word what the dense model
says; *shared* is how much of the words is in both (F1 of words, as many times as they stand there),
against the dense model's and, for `right`, against the world's own description.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.accuracy.evaluation import evaluate
from benchmarks.accuracy.footage import DESCRIBE, Footage
from benchmarks.accuracy.variants import dense_variant, description_variants
from codecsight.models.base import VisionLanguageModel

STREAMS, EVERY = 4, 2
"""Of a setting: its first streams, and every second window."""

Rows = list[dict[str, Any]]


def rows(model: VisionLanguageModel, footages: Sequence[Footage]) -> Rows:
    """A row for each pair that is asked for words, the dense model's own first."""
    setting, chosen = footages[0].stream.setting, [_asked(each) for each in footages[:STREAMS]]
    true = _told(chosen)
    dense, found = evaluate(model, chosen, dense_variant(setting)), Rows()
    for arm in (dense_variant(setting), *description_variants(setting)):
        heard = dense if arm == dense_variant(setting) else evaluate(model, chosen, arm)
        who = {"change": arm.change, "kv": arm.kv, "default": arm.default}
        pairs = [(heard.answers[key][DESCRIBE], dense.answers[key][DESCRIBE]) for key in true]
        right = [shared(heard.answers[key][DESCRIBE], said) for key, said in true.items()]
        found.append({
            "setting": setting.name,
            **who,
            "windows": len(true),
            "same": _mean(one == other for one, other in pairs),
            "shared": _mean(shared(*pair) for pair in pairs),
            "right": _mean(right),
        })  # fmt: skip
    return found


def shared(one: str, other: str) -> float:
    """F1 of the words of two sentences: 1 where they are the same in any order."""
    ours, theirs = (Counter(text.replace(",", " ").split()) for text in (one, other))
    both = 2 * (ours & theirs).total()
    return both / max(ours.total() + theirs.total(), 1)


def _asked(footage: Footage) -> Footage:
    """The same stream, of which nothing is asked but to be described."""
    told = [window for window in footage.windows if window.described is not None]
    return replace(footage, windows=told[::EVERY], questions={DESCRIBE: "describe"})


def _told(footages: Sequence[Footage]) -> dict[tuple[str, int], str]:
    return {
        (each.stream.url, window.index): window.described
        for each in footages
        for window in each.windows
        if window.described is not None
    }


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(float(np.mean(found)), 4) if found else None
