"""What the model said, how sure it is, and the span of time it rests on."""

from dataclasses import dataclass
from typing import Any

Value = bool | int | str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """An answer that is being said, `so_far`."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is bool for yes/no, int for a count, a dict for JSON (str, as far as it got, where it
    did not end within the engine's `max_answer_tokens`), str otherwise. `probability` is the
    model's for that value, calibrated where the checkpoint brings a calibration (the mean per token
    where the answer was spoken). `start` and `end` are stream seconds, `capture_time` the edge's
    wall clock at `end`. `latency_ms` runs from the arrival of the last slot to the answer.
    `cells_kept` of `cells_total` visual tokens of the window were encoded.
    """

    stream: str
    question: str
    value: Value
    probability: float
    start: float
    end: float
    capture_time: float
    latency_ms: float
    cells_kept: int
    cells_total: int
