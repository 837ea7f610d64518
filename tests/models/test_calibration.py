from pathlib import Path

import pytest

from codecsight.models.calibration import Calibration, read_calibration, write_calibration
from codecsight.models.errors import ModelError
from codecsight.models.loading import load_model
from codecsight.models.tiny import save_random_model


def test_a_checkpoint_without_one_is_taken_at_its_word(tmp_path: Path) -> None:
    assert read_calibration(tmp_path).of("yes-no") == 1.0


def test_what_was_written_comes_with_the_model(tmp_path: Path) -> None:
    folder = save_random_model(tmp_path)
    write_calibration(folder, Calibration(temperatures={"count": 1.5}))
    calibration = load_model(folder, "cpu").calibration
    assert (calibration.of("count"), calibration.of("choice")) == (1.5, 1.0)


@pytest.mark.parametrize(
    "text", ["", "no json", '{"temperatures": {"count": 0}}', '{"temperature": {}}']
)
def test_a_broken_one_is_refused_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(ModelError, match="python -m training calibrate") as refused:
        read_calibration(tmp_path)
    assert str(tmp_path) in str(refused.value)
