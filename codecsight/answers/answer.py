"""What the model said, how sure it is, and the span of time it rests on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """`value` is bool for yes/no, int for a count, str otherwise; `probability` is the model's for
    that value, calibrated where the checkpoint brings a calibration (for free text the mean
    per-token probability). `start` and `end` are seconds of the stream, `captured` the edge's wall
    clock at `end`. `latency_ms` runs from the arrival of the last slot to the answer. `cells_kept`
    of `cells_total` visual tokens of the window were encoded.
    """

    stream: str
    question: str
    value: bool | int | str
    probability: float
    start: float
    end: float
    captured: float
    latency_ms: float
    cells_kept: int
    cells_total: int
