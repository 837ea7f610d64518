"""The shipped model card is the one generated from the committed results."""

import json
from hashlib import sha256
from pathlib import Path

from codecsight.models.loading import DEFAULT_MODEL
from codecsight.world.labels.questions import WORDINGS
from training.publish.card import model_card
from training.publish.export import WEIGHTS

RESULTS = Path(__file__).parents[2] / "training" / "results" / "default.json"


def test_the_shipped_card_is_generated_from_the_committed_results() -> None:
    shipped, made = (
        (DEFAULT_MODEL / "README.md").read_text(),
        model_card(json.loads(RESULTS.read_text())),
    )
    head, limits = made.split("## Limits")
    assert shipped.startswith(head)
    assert shipped.endswith(f"## Limits{limits}")


def test_the_committed_results_belong_to_the_shipped_weights() -> None:
    results = json.loads(RESULTS.read_text())
    weights = (DEFAULT_MODEL / WEIGHTS).read_bytes()
    assert results["weights_sha256"] == sha256(weights).hexdigest()


def test_topics_below_0_90_are_listed_with_their_lowest_score_worst_first() -> None:
    results = json.loads(RESULTS.read_text())
    for number, topic in enumerate(("person", "smoke")):
        results["scores"]["new families, 1 slot"][topic] |= {
            "f1": (1 + number) / 100,
            "positives": 50,
        }
    results["scores"]["new seeds, 4 slots"]["person"] |= {"f1": 0.0, "positives": 1}
    expected = [
        f'- "{WORDINGS[topic][0]}": {score} (new families, 1 slot)'
        for topic, score in (("person", "0.01"), ("smoke", "0.02"))
    ]
    assert "\n".join(expected) in model_card(results)


def test_without_recordings_the_card_says_not_measured() -> None:
    results = json.loads(RESULTS.read_text()) | {"footage": {}}
    assert "Not measured" in model_card(results)
