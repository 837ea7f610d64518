"""`python -m benchmarks.vit_context`: what the ViT's sight of a changed cell's neighbours is worth.

The same procedural cameras are watched with whole pictures, with the kept cells alone, with rings
of neighbours from what was shipped before, and with all that the ViT remembers of them; answers are
held against the world's truth.
"""

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
ARMS: tuple[tuple[str, int | None], ...] = (
    ("everything", 0),
    ("tracked", 0),
    ("tracked", 1),
    ("tracked", 2),
    ("tracked", None),
)
"""A change policy, and how wide the ring is (None: the ViT remembers the whole picture)."""


def main() -> None:
    """Run every arm and record its row."""
    torch.set_num_threads(1)
    model = load_model()
    rows = [_row(model, policy, ring) for policy, ring in ARMS]
    print(
        record(
            "vit-context", {"seconds": SECONDS, "seed": SEED, "families": FAMILIES, "rows": rows}
        )
    )


def _row(model: VisionLanguageModel, policy: str, ring: int | None) -> dict[str, object]:
    engine = Engine(model, EngineConfig(vision_kv_cache=ring is None, neighbour_radius=ring or 0))
    questions = [Question.parse(text) for text in QUESTIONS]
    watching = Watcher(engine, WatchOptions(model.grid_spec(2.0, 48), questions, policy))
    urls = {
        family: f"world://{family}?seed={SEED + index}&fps=10&gop=30&seconds={SECONDS}"
        for index, family in enumerate(FAMILIES)
    }
    for name, url in urls.items():
        watching.add(name, open_source(url))
    scores = score_answers(watching.answers(), urls)
    cameras = [watched.camera.counters for watched in watching.watched]
    work = engine.status().work
    row: dict[str, object] = {
        "policy": policy,
        "neighbour_radius": ring,
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
