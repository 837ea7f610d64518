"""The model card tells what the results file holds, and hides nothing of it."""

import json
from pathlib import Path

from codecsight.models.loading import DEFAULT_MODEL
from codecsight.world.questions import WORDINGS
from training.card import card

RESULTS = Path(__file__).parents[2] / "training" / "results" / "default.json"


def test_the_shipped_card_is_made_from_the_committed_results() -> None:
    shipped, made = (DEFAULT_MODEL / "README.md").read_text(), card(json.loads(RESULTS.read_text()))
    head, limits = made.split("## Limits")
    assert shipped.startswith(head)
    assert shipped.endswith(f"## Limits{limits}")


def test_every_topic_below_nine_in_ten_is_named_worst_first() -> None:
    told = json.loads(RESULTS.read_text())
    scores = told["scores"]["new seeds, 4 slots"]
    for number, topic in enumerate(("person", "smoke")):
        scores[topic] |= {"f1": (1 + number) / 100, "asked": 50}
    text = " ".join(card(told).split())
    assert f'"{WORDINGS["person"][0]}" (0.01), "{WORDINGS["smoke"][0]}" (0.02)' in text


def test_where_there_were_no_clips_none_are_told_of() -> None:
    told = json.loads(RESULTS.read_text()) | {"footage": {}}
    assert "Not measured" in card(told)
