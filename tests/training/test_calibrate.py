"""Calibration temperatures and the expected calibration error."""

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
    CalibrationSample,
    collect_answers,
    expected_calibration_error,
    fit_temperature,
    with_calibration_section,
)

RESULTS = Path(__file__).parents[2] / "training" / "results" / "calibration.json"


def miscalibrated(temperature: float, count: int = 1500) -> list[CalibrationSample]:
    """Samples of a model with known miscalibration.

    The correct option is drawn from the softmax of the scores at that temperature.
    """
    random = np.random.default_rng(3)
    scores = random.normal(0, 3, (count, 4))
    probabilities = np.exp(scores / temperature)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    correct = [int(random.choice(4, p=each)) for each in probabilities]
    return [
        CalibrationSample("choice", tuple(row), index)
        for row, index in zip(scores, correct, strict=True)
    ]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    answers = miscalibrated(temperature)
    assert fit_temperature(answers) == pytest.approx(temperature, rel=0.12)
    assert expected_calibration_error(answers, fit_temperature(answers)) < 0.05


def test_the_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    confident = [CalibrationSample("yes-no", (0.0, -50.0), index) for index in (0, 0, 0, 1)]
    assert expected_calibration_error(confident, 1.0) == pytest.approx(0.25)
    uncertain = [CalibrationSample("yes-no", (0.01, 0.0), index) for index in (0, 1)]
    assert expected_calibration_error(uncertain, 1.0) == pytest.approx(0.0, abs=0.01)


def test_answers_may_have_different_numbers_of_options() -> None:
    answers = [
        CalibrationSample("choice", (0.0, -1.0), 0),
        CalibrationSample("choice", (0.0, -1.0, -2.0), 1),
    ]
    assert 0 < expected_calibration_error(answers, 2.0) < 1


def test_the_shipped_temperatures_reduce_the_error_on_other_scenes() -> None:
    """`python -m training calibrate` writes both files after each training."""
    measured = json.loads(RESULTS.read_text())
    assert load_model(DEFAULT_MODEL, "cpu").calibration.temperatures == measured["temperatures"]
    kinds = measured["new seeds"].values()
    before, after = (
        sum(kind["answers"] * kind[key] for kind in kinds) for key in ("ece_before", "ece_after")
    )
    assert sum(kind["answers"] for kind in kinds) > 500
    assert after < before


def test_a_camera_gives_answers_with_the_index_of_the_correct_option() -> None:
    answers = list(
        collect_answers(
            load_model(DEFAULT_MODEL, "cpu"), TRAINING_FAMILIES[:1], FIT_SEEDS[:1], seconds=9
        )
    )
    assert len(answers) >= 5
    assert all(0 <= each.correct < len(each.scores) for each in answers)
    correct = sum(int(np.argmax(each.scores)) == each.correct for each in answers)
    assert correct > len(answers) / 2


def test_seeds_for_fitting_and_checking_are_disjoint() -> None:
    assert not set(FIT_SEEDS) & set(CHECK_SEEDS)


def test_the_calibration_section_is_replaced_and_not_duplicated() -> None:
    kinds = {"yes-no": {"answers": 9, "accuracy": 1.0, "ece_before": 0.2, "ece_after": 0.1}}
    measured = {"temperatures": {"yes-no": 1.7}, "new seeds": kinds, "new families": kinds}
    once = with_calibration_section("# Card\n\n## Limits\n\nMany.\n", measured)
    assert once.count("## Calibration") == 1
    assert "| yes-no | 1.70 | 9 | new seeds | 1.00 | 0.200 | 0.100 |" in once
    assert once.endswith("\n## Limits\n\nMany.\n")
    assert with_calibration_section(once, measured) == once
