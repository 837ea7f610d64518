"""How sure a model may be: temperatures that were fitted to it, kept beside its weights."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, ValidationError

from codecsight.models.errors import ModelError

FILE = "calibration.json"


class Calibration(BaseModel):
    """`temperatures` by kind of question ("yes-no", "count", "choice"): the log-likelihoods of the
    options are divided by them. Above 1 makes a model less sure; the order of its options stays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    temperatures: dict[str, PositiveFloat] = {}

    def of(self, kind: str) -> float:
        """The temperature for a kind; 1 where none was fitted."""
        return self.temperatures.get(kind, 1.0)


def read_calibration(folder: Path) -> Calibration:
    """What was fitted to the checkpoint in `folder`, if anything was. Raises ModelError."""
    path = folder / FILE
    if not path.exists():
        return Calibration()
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ModelError(
            f"{path}: no calibration ({error}); fit it again with "
            f"`python -m training calibrate {folder}`, or remove the file"
        ) from error


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Keep it beside the weights."""
    (folder / FILE).write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")
