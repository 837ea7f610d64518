"""What a stream gets back from the engine."""

from dataclasses import dataclass

from codecsight.core.answer import Answer
from codecsight.core.errors import CodecSightError
from codecsight.engine.resources.flops import Work


@dataclass(frozen=True, slots=True)
class SlotResult:
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
class JobResult:
    """The outcome of the job `ticket`: the `slot_result` of its slot, the answers to its
    questions, or the error.
    """

    ticket: int
    stream: str
    slot_result: SlotResult | None = None
    answers: tuple[Answer, ...] = ()
    error: CodecSightError | None = None


@dataclass(frozen=True, slots=True)
class SessionStats:
    """One stream: `slots` and `tokens` in its window, KV blocks reserved for it and allocated
    by it right now, jobs `waiting`; bytes `auxiliary_bytes` held outside the pool right now, of
    which `vision_cache_bytes` are the ViT's keys and values.
    """

    slots: int
    tokens: int
    blocks_reserved: int
    blocks_allocated: int
    auxiliary_bytes: int
    vision_cache_bytes: int
    waiting: int
    needs_anchor: bool
    work: Work


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """KV blocks reserved, left to be reserved, and held right now; bytes set aside for streams, the
    whole pool among them, and those kept beside the pool right now; the open streams, and the work
    of all streams ever open.
    """

    blocks_reserved: int
    blocks_free: int
    blocks_allocated: int
    bytes_reserved: int
    auxiliary_bytes: int
    streams: dict[str, SessionStats]
    work: Work
