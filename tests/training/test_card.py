"""The model card tells what the results file holds, and hides nothing of it."""

import json
from hashlib import sha256
from pathlib import Path

from codecsight.models.loading import DEFAULT_MODEL
from codecsight.world.labels.questions import WORDINGS
from training.publish.card import model_card
from training.publish.export import WEIGHTS

RESULTS = Path(__file__).parents[2] / "training" / "results" / "default.json"


def test_the_shipped_card_is_made_from_the_committed_results() -> None:
    shipped, made = (
        (DEFAULT_MODEL / "README.md").read_text(),
        model_card(json.loads(RESULTS.read_text())),
    )
    head, limits = made.split("## Limits")
    assert shipped.startswith(head)
    assert shipped.endswith(f"## Limits{limits}")


def test_the_committed_results_are_those_of_the_shipped_weights() -> None:
    told = json.loads(RESULTS.read_text())
    weights = (DEFAULT_MODEL / WEIGHTS).read_bytes()
    assert told["weights_sha256"] == sha256(weights).hexdigest()


def test_every_topic_below_nine_in_ten_is_named_with_its_worst_column_worst_first() -> None:
    told = json.loads(RESULTS.read_text())
    for number, topic in enumerate(("person", "smoke")):
        told["scores"]["new families, 1 slot"][topic] |= {"f1": (1 + number) / 100, "yes": 50}
    told["scores"]["new seeds, 4 slots"]["person"] |= {"f1": 0.0, "yes": 1}
    text = " ".join(model_card(told).split())
    where = "new families, 1 slot"
    worst = f"(0.01, {where})", f"(0.02, {where})"
    assert f'"{WORDINGS["person"][0]}" {worst[0]}, "{WORDINGS["smoke"][0]}" {worst[1]}' in text


def test_where_there_were_no_clips_none_are_told_of() -> None:
    told = json.loads(RESULTS.read_text()) | {"footage": {}}
    assert "Not measured" in model_card(told)
