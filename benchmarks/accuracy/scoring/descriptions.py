"""Free-form answers: scene descriptions on a few streams.

`same`: share of windows with the dense model's description, word for word. `shared`: F1 of the
words against the dense model's description, repeated words counted. `right`: the same against the
ground truth's description.
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
"""The first streams of a setting, and every second window of them."""

Rows = list[dict[str, Any]]


def rows(model: VisionLanguageModel, footages: Sequence[Footage]) -> Rows:
    """Return a row for each variant that gives descriptions, the dense variant first."""
    setting, chosen = (
        footages[0].stream.setting,
        [_description_only(each) for each in footages[:STREAMS]],
    )
    true = _true_descriptions(chosen)
    dense, found = evaluate(model, chosen, dense_variant(setting)), Rows()
    for variant in (dense_variant(setting), *description_variants(setting)):
        answers = dense if variant == dense_variant(setting) else evaluate(model, chosen, variant)
        name = {"change": variant.change, "kv": variant.kv, "default": variant.default}
        pairs = [(answers.answers[key][DESCRIBE], dense.answers[key][DESCRIBE]) for key in true]
        right = [word_f1(answers.answers[key][DESCRIBE], truth) for key, truth in true.items()]
        found.append({
            "setting": setting.name,
            **name,
            "windows": len(true),
            "same": _mean(one == other for one, other in pairs),
            "shared": _mean(word_f1(*pair) for pair in pairs),
            "right": _mean(right),
        })  # fmt: skip
    return found


def word_f1(one: str, other: str) -> float:
    """F1 of the words of two sentences, in any order; repeated words are counted."""
    first, second = (Counter(text.replace(",", " ").split()) for text in (one, other))
    common = 2 * (first & second).total()
    return common / max(first.total() + second.total(), 1)


def _description_only(footage: Footage) -> Footage:
    """Return the footage with every second describable window and the one question `describe`."""
    describable = [window for window in footage.windows if window.described is not None]
    return replace(footage, windows=describable[::EVERY], questions={DESCRIBE: "describe"})


def _true_descriptions(footages: Sequence[Footage]) -> dict[tuple[str, int], str]:
    return {
        (each.stream.url, window.index): window.described
        for each in footages
        for window in each.windows
        if window.described is not None
    }


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(float(np.mean(found)), 4) if found else None
