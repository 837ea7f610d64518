"""A temperature makes probabilities honest and changes no answer."""

import json
from pathlib import Path

import numpy as np
import pytest

from codecsight.models.folder import DEFAULT_MODEL
from codecsight.models.loading import load_model
from codecsight.world import TRAINING_FAMILIES
from training.evaluation.calibrate import (
    CHECK_SEEDS,
    FIT_SEEDS,
    ScoredAnswer,
    collect_answers,
    expected_calibration_error,
    fit_temperature,
    with_calibration_section,
)

RESULTS = Path(__file__).parents[2] / "training" / "results" / "calibration.json"


def said(temperature: float, count: int = 1500) -> list[ScoredAnswer]:
    """A model that is surer than it should be by a known factor: the truth is drawn from its own
    chances at that temperature.
    """
    random = np.random.default_rng(3)
    scores = random.normal(0, 3, (count, 4))
    chances = np.exp(scores / temperature)
    chances /= chances.sum(axis=1, keepdims=True)
    right = [int(random.choice(4, p=each)) for each in chances]
    return [
        ScoredAnswer("choice", tuple(row), index) for row, index in zip(scores, right, strict=True)
    ]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    heard = said(temperature)
    assert fit_temperature(heard) == pytest.approx(temperature, rel=0.12)
    assert expected_calibration_error(heard, fit_temperature(heard)) < 0.05


def test_the_error_is_the_gap_between_sureness_and_truth() -> None:
    sure = [ScoredAnswer("yes-no", (0.0, -50.0), index) for index in (0, 0, 0, 1)]
    assert expected_calibration_error(sure, 1.0) == pytest.approx(0.25)
    unsure = [ScoredAnswer("yes-no", (0.01, 0.0), index) for index in (0, 1)]
    assert expected_calibration_error(unsure, 1.0) == pytest.approx(0.0, abs=0.01)


def test_answers_with_different_numbers_of_options_mix() -> None:
    heard = [ScoredAnswer("choice", (0.0, -1.0), 0), ScoredAnswer("choice", (0.0, -1.0, -2.0), 1)]
    assert 0 < expected_calibration_error(heard, 2.0) < 1


def test_the_checkpoint_is_as_sure_as_was_measured_on_scenes_it_was_not_fitted_on() -> None:
    """`python -m training calibrate` writes both, after each training."""
    told = json.loads(RESULTS.read_text())
    assert load_model(DEFAULT_MODEL, "cpu").calibration.temperatures == told["temperatures"]
    kinds = told["new seeds"].values()
    before, after = (
        sum(kind["answers"] * kind[key] for kind in kinds)
        for key in ("error_before", "error_after")
    )
    assert sum(kind["answers"] for kind in kinds) > 500
    assert after < before


def test_what_is_heard_of_a_camera_is_every_fair_question_with_its_truth() -> None:
    heard = list(
        collect_answers(
            load_model(DEFAULT_MODEL, "cpu"), TRAINING_FAMILIES[:1], FIT_SEEDS[:1], seconds=9
        )
    )
    assert len(heard) >= 5
    assert all(0 <= each.right < len(each.scores) for each in heard)
    right = sum(int(np.argmax(each.scores)) == each.right for each in heard)
    assert right > len(heard) / 2


def test_scenes_to_fit_on_and_to_check_on_are_apart() -> None:
    assert not set(FIT_SEEDS) & set(CHECK_SEEDS)


def test_the_cards_section_is_replaced_and_never_doubled() -> None:
    kinds = {"yes-no": {"answers": 9, "accuracy": 1.0, "error_before": 0.2, "error_after": 0.1}}
    told = {"temperatures": {"yes-no": 1.7}, "new seeds": kinds, "new families": kinds}
    once = with_calibration_section("# Card\n\n## Limits\n\nMany.\n", told)
    assert once.count("## How sure it is") == 1
    assert "| yes-no | 1.70 | 9 | new seeds | 1.00 | 0.200 | 0.100 |" in once
    assert once.endswith("\n## Limits\n\nMany.\n")
    assert with_calibration_section(once, told) == once
