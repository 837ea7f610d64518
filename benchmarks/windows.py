"""`python -m benchmarks.windows`: answer quality and cost of the window policies.

Engines with different eviction, refresh and query view get the same slots of procedural cameras.
Answers are compared with the ground truth and with answers on unpruned, recomputed windows.
"""

import argparse
from typing import Any

import numpy as np
import torch

from benchmarks.density.traces import SlotTrace, make_trace
from benchmarks.record import record
from cluster.demo.ground_truth import score_answers
from cluster.demo.plan import QUESTIONS
from codecsight.core.answer import Answer
from codecsight.core.question import Question
from codecsight.engine import Engine, EngineConfig, EvictionPolicy, QueryView
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model
from codecsight.world import FAMILIES

SECONDS, SEED = 48, 960
ANCHOR_INTERVALS = (4, 8, 16, 32)
"""Slots from one anchor to the next."""
AGE, SUPERSEDED = EvictionPolicy.AGE, EvictionPolicy.SUPERSEDED
LAST_SLOT, LATEST_FEATURES, REROTATED = (
    QueryView.LAST_SLOT,
    QueryView.LATEST_FEATURES,
    QueryView.REROTATED,
)
Variant = tuple[str, int, EvictionPolicy, str, QueryView]
"""Change policy, slots from anchor to anchor, eviction, refresh, query view."""
VARIANTS: tuple[Variant, ...] = (
    ("everything", 4, AGE, "all", LAST_SLOT),
    ("everything", 4, AGE, "none", LAST_SLOT),
    ("tracked", 4, AGE, "all", LATEST_FEATURES),
    ("tracked", 4, AGE, "anchors", LATEST_FEATURES),
    ("tracked", 4, AGE, "none", LATEST_FEATURES),
    ("tracked", 4, AGE, "none", REROTATED),
    ("tracked", 4, SUPERSEDED, "none", REROTATED),
    ("tracked", 8, AGE, "none", REROTATED),
    ("tracked", 16, AGE, "none", REROTATED),
    ("tracked", 16, SUPERSEDED, "none", REROTATED),
    ("tracked", 16, SUPERSEDED, "none", LATEST_FEATURES),
    ("tracked", 32, SUPERSEDED, "none", REROTATED),
    ("tracked", 32, SUPERSEDED, "none", LATEST_FEATURES),
    ("tracked", 32, SUPERSEDED, "drift:2", REROTATED),
    ("tracked", 4, AGE, "anchors", LAST_SLOT),
)


def main() -> None:
    """Run every variant and write `results/windows.json`."""
    argparse.ArgumentParser(prog="python -m benchmarks.windows", description=__doc__).parse_args()
    torch.set_num_threads(1)
    model = load_model()
    spec = model.grid_spec(2.0, 48)
    urls = {
        family: f"world://{family}?seed={SEED + index}&fps=10&gop=30&seconds={SECONDS}"
        for index, family in enumerate(sorted(FAMILIES))
    }
    traces = {
        interval: {
            name: make_trace(
                spec,
                url,
                ("tracked", "everything")[: 1 + (interval == ANCHOR_INTERVALS[0])],
                interval,
            )
            for name, url in urls.items()
        }
        for interval in ANCHOR_INTERVALS
    }
    measured = [_measure(model, traces[variant[1]], variant) for variant in VARIANTS]
    dense = measured[0][1]  # the first variant prunes nothing and refreshes everything
    rows = [{**row, **_score(answers, dense, urls)} for row, answers in measured]
    for row in rows:
        print(row, flush=True)
    print(record("windows", {"seconds": SECONDS, "families": sorted(FAMILIES), "rows": rows}))


def _measure(
    model: VisionLanguageModel,
    traces: dict[str, SlotTrace],
    variant: Variant,
) -> tuple[dict[str, Any], list[Answer]]:
    policy, interval, eviction, refresh, query_view = variant
    engine = Engine(model, EngineConfig(eviction=eviction, refresh=refresh, query_view=query_view))
    questions = [Question.parse(text) for text in QUESTIONS]
    answers: list[Answer] = []
    for name, trace in traces.items():
        engine.open(name, trace.grid)
    for slots in zip(*(trace.slots[policy] for trace in traces.values()), strict=True):
        for name, slot in zip(traces, slots, strict=True):
            engine.submit(name, slot, questions)
        while engine.busy:
            answers += [answer for result in engine.step() for answer in result.answers]
    work = engine.status().work
    row = {
        "policy": policy,
        "anchor_every": interval,
        "kept": round(float(np.mean([trace.kept(policy) for trace in traces.values()])), 4),
        "eviction": eviction.value,
        "refresh": refresh,
        "query_view": query_view.value,
        "flops_of_recompute": round(work.spent.total / work.recompute.total, 4),
        "llm_flops_of_recompute": round(work.spent.llm / work.recompute.llm, 4),
    }
    return row, answers


def _score(answers: list[Answer], dense: list[Answer], urls: dict[str, str]) -> dict[str, Any]:
    reference = {(each.stream, each.question, each.end): each.value for each in dense}
    same = [each.value == reference[each.stream, each.question, each.end] for each in answers]
    scores = score_answers(answers, urls)
    return {
        "agreement": round(sum(same) / len(same), 3),
        "windows": len(same),
        "right": {text: round(score.right / score.checked, 3) for text, score in scores.items()},
    }


if __name__ == "__main__":
    main()
