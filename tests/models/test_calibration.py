"""Reading and writing a checkpoint's calibration."""

from pathlib import Path

import pytest

from codecsight.models.calibration import Calibration, read_calibration, write_calibration
from codecsight.models.errors import ModelError
from codecsight.models.loading import load_model
from codecsight.models.tiny import save_random_model


def test_without_a_calibration_all_temperatures_are_one(tmp_path: Path) -> None:
    assert read_calibration(tmp_path).of("yes-no") == 1.0


def test_a_written_calibration_is_loaded_with_the_model(tmp_path: Path) -> None:
    folder = save_random_model(tmp_path)
    write_calibration(folder, Calibration(temperatures={"count": 1.5}))
    calibration = load_model(folder, "cpu").calibration
    assert (calibration.of("count"), calibration.of("choice")) == (1.5, 1.0)


@pytest.mark.parametrize(
    "text", ["", "no json", '{"temperatures": {"count": 0}}', '{"temperature": {}}']
)
def test_an_invalid_calibration_is_rejected_with_a_fix(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ModelError, match="python -m training calibrate") as error:
        read_calibration(tmp_path)
    assert str(tmp_path) in str(error.value)
