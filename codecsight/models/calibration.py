"""Calibration of answer probabilities: temperatures fitted to a checkpoint, stored next to it."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError

from codecsight.models.errors import ModelError

FILE = "calibration.json"


class Calibration(BaseModel):
    """Temperature per kind of question ("yes-no", "count", "choice").

    The log-likelihoods of a question's options are divided by its temperature. Above 1 the
    probabilities become less extreme; the order of the options never changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    temperatures: dict[str, PositiveFloat] = {}

    def of(self, kind: str) -> float:
        """The temperature for a kind of question; 1 if none was fitted."""
        return self.temperatures.get(kind, 1.0)


def read_calibration(folder: Path) -> Calibration:
    """The calibration of the checkpoint in `folder`; no temperatures if it has none.

    Raises ModelError for a file that can't be read.
    """
    path = folder / FILE
    if not path.exists():
        return Calibration()
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{path}: not a valid calibration ({error}); fit it again with "
            f"`python -m training calibrate {folder}`, or remove the file"
        ) from error


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Store the calibration next to the weights in `folder`."""
    (folder / FILE).write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
