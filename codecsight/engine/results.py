"""What a stream gets back from the engine."""

from dataclasses import dataclass

from codecsight.core.answer import Answer
from codecsight.core.errors import CodecSightError
from codecsight.engine.resources.flops import Work


@dataclass(frozen=True, slots=True)
class Step:
    """What one slot did. `prefilled`, `refreshed` and `evicted` count tokens, `slots` those now
    in the window; `rebased` means that positions were numbered anew. `moved` means that a stride
    is complete: time for the standing questions. `vit_ms` and `prefill_ms` are this slot's part,
    by cells and by tokens, of the wall time of the passes it was in.
    """

    stream: str
    slots: int
    prefilled: int
    refreshed: int
    evicted: int
    rebased: bool
    moved: bool
    work: Work
    vit_ms: float
    prefill_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """What became of what was submitted under `ticket`: a slot's `step`, the `answers` that were
    due, or why there is neither.
    """

    ticket: int
    stream: str
    step: Step | None = None
    answers: tuple[Answer, ...] = ()
    error: CodecSightError | None = None
