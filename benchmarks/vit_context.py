"""`python -m benchmarks.vit_context`: value and cost of other cells as context in the ViT.

The same procedural cameras are analysed without pruning, with the kept cells alone, with the
neighbours of kept cells encoded again from the last shipped pixels, and with the ViT's cached keys
and values of all other cells. Answers are compared with the ground truth.
"""

import argparse

import torch

from benchmarks.record import record
from cluster.demo.ground_truth import score_answers
from cluster.demo.plan import QUESTIONS
from codecsight.core.question import Question
from codecsight.engine.config import EngineConfig
from codecsight.engine.engine import Engine
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model
from codecsight.video.capture.open import open_source
from codecsight.watch import Watcher, WatchOptions

FAMILIES = ("yard", "street", "plaza", "garage")
SECONDS = 60
SEED = 940
VARIANTS: tuple[tuple[str, int | None], ...] = (
    ("everything", 0),
    ("tracked", 0),
    ("tracked", 1),
    ("tracked", 2),
    ("tracked", None),
)
"""Change policy and neighbour radius (None: cached keys and values of all other cells)."""


def main() -> None:
    """Run every variant and write `results/vit-context.json`."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.vit_context", description=__doc__
    ).parse_args()
    torch.set_num_threads(1)
    model = load_model()
    rows = [_row(model, policy, radius) for policy, radius in VARIANTS]
    result = {"seconds": SECONDS, "seed": SEED, "families": FAMILIES, "rows": rows}
    print(record("vit-context", result))


def _row(model: VisionLanguageModel, policy: str, radius: int | None) -> dict[str, object]:
    engine = Engine(
        model, EngineConfig(vision_kv_cache=radius is None, neighbour_radius=radius or 0)
    )
    questions = [Question.parse(text) for text in QUESTIONS]
    watcher = Watcher(engine, WatchOptions(model.grid_spec(2.0, 48), questions, policy))
    urls = {
        family: f"world://{family}?seed={SEED + index}&fps=10&gop=30&seconds={SECONDS}"
        for index, family in enumerate(FAMILIES)
    }
    for name, url in urls.items():
        watcher.add(name, open_source(url))
    scores = score_answers(watcher.answers(), urls)
    cameras = [watched.camera.counters for watched in watcher.watched]
    work = engine.status().work
    row: dict[str, object] = {
        "policy": policy,
        "neighbour_radius": radius,
        "kept": sum(c.cells_kept for c in cameras) / sum(c.cells_total for c in cameras),
        "vit_flops_of_dense": work.spent.vit / work.once.vit,
        "llm_flops_of_dense": work.spent.llm / work.once.llm,
        "right": {text: score.right / score.checked for text, score in scores.items()},
        "constant": {text: score.best_constant / score.checked for text, score in scores.items()},
        "checked": {text: score.checked for text, score in scores.items()},
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
