"""An answer of the model: its value, its probability and the time span it covers."""

from dataclasses import dataclass
from typing import Any

Value = bool | int | str | dict[str, Any]


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """The `text` decoded so far of a free-form answer that is still being decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question about one window of a stream.

    `value` is bool for yes/no, int for a count, dict for JSON and str otherwise. A JSON answer that
    was cut off by the engine's `max_answer_tokens` is the incomplete text (str). `probability` is
    the model's probability of that value, calibrated if the checkpoint has a calibration; for a
    free-form answer it is the mean probability per token. `start` and `end` are stream seconds,
    `capture_time` is the edge's wall clock at `end`. `latency_ms` runs from the arrival of the last
    slot to the answer. `cells_kept` of the window's `cells_total` visual tokens were kept.
    `model` is the model's name. `age_s` is the time since the cloud received the newest slot of the
    window, in seconds, when the answer is given; 0 in one process.
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
    model: str = ""
    age_s: float = 0.0
