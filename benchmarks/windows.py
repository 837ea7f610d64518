"""`python -m benchmarks.windows`: what the window's policies are worth, and what they cost.

The same slots of procedural cameras go through engines that evict, refresh and look at the present
in different ways; answers are held against the world's truth and against whole, fresh windows.
"""

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
EVERY = (4, 8, 16, 32)
"""How many slots there are from one anchor to the next."""
AGE, SUPERSEDED = EvictionPolicy.AGE, EvictionPolicy.SUPERSEDED
LAST, LATEST_FEATURES, REROTATED = (
    QueryView.LAST_SLOT,
    QueryView.LATEST_FEATURES,
    QueryView.REROTATED,
)
ARMS: tuple[tuple[str, int, EvictionPolicy, str, QueryView], ...] = (
    ("everything", 4, AGE, "all", LAST),
    ("everything", 4, AGE, "none", LAST),
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
    ("tracked", 4, AGE, "anchors", LAST),
)


def main() -> None:
    """Run every arm and record its row."""
    torch.set_num_threads(1)
    model = load_model()
    spec = model.grid_spec(2.0, 48)
    urls = {
        family: f"world://{family}?seed={SEED + index}&fps=10&gop=30&seconds={SECONDS}"
        for index, family in enumerate(sorted(FAMILIES))
    }
    films = {
        every: {
            name: make_trace(spec, url, ("tracked", "everything")[: 1 + (every == EVERY[0])], every)
            for name, url in urls.items()
        }
        for every in EVERY
    }
    heard = [_hear(model, films[arm[1]], arm) for arm in ARMS]
    rows = [
        {**row, **_judge(answers, heard[0][1], urls)} for row, answers in heard
    ]  # the first arm is whole and fresh
    for row in rows:
        print(row, flush=True)
    print(record("windows", {"seconds": SECONDS, "families": sorted(FAMILIES), "rows": rows}))


def _hear(
    model: VisionLanguageModel,
    films: dict[str, SlotTrace],
    arm: tuple[str, int, EvictionPolicy, str, QueryView],
) -> tuple[dict[str, Any], list[Answer]]:
    policy, every, evict, refresh, present = arm
    engine = Engine(model, EngineConfig(eviction=evict, refresh=refresh, query_view=present))
    questions = [Question.parse(text) for text in QUESTIONS]
    answers: list[Answer] = []
    for name, film in films.items():
        engine.open(name, film.grid)
    for slots in zip(*(film.slots[policy] for film in films.values()), strict=True):
        for name, slot in zip(films, slots, strict=True):
            engine.submit(name, slot, questions)
        while engine.busy:
            answers += [answer for result in engine.step() for answer in result.answers]
    work = engine.status().work
    row = {
        "policy": policy,
        "anchor_every": every,
        "kept": round(float(np.mean([film.kept(policy) for film in films.values()])), 4),
        "evict": evict.value,
        "refresh": refresh,
        "present": present.value,
        "flops_of_recompute": round(work.spent.total / work.recompute.total, 4),
        "llm_flops_of_recompute": round(work.spent.llm / work.recompute.llm, 4),
    }
    return row, answers


def _judge(answers: list[Answer], whole: list[Answer], urls: dict[str, str]) -> dict[str, Any]:
    fresh = {(each.stream, each.question, each.end): each.value for each in whole}
    same = [each.value == fresh[each.stream, each.question, each.end] for each in answers]
    scores = score_answers(answers, urls)
    return {
        "agreement": round(sum(same) / len(same), 3),
        "windows": len(same),
        "right": {text: round(score.right / score.checked, 3) for text, score in scores.items()},
    }


if __name__ == "__main__":
    main()
