"""What the engine returns: outcomes of jobs, and its status."""

from dataclasses import dataclass

from codecsight.core.answer import Answer
from codecsight.core.errors import CodecSightError
from codecsight.engine.resources.flops import Work


@dataclass(frozen=True, slots=True)
class SlotResult:
    """The effect of one slot. `prefilled`, `refreshed` and `evicted` are in tokens, `slots` is the
    number now in the window. `rebased`: rotary positions restarted from 0. `stride_complete`:
    standing questions are due. `vit_ms` and `prefill_ms` are its share, by cells and by tokens, of
    the wall time of the model calls it was in.
    """

    stream: str
    slots: int
    prefilled: int
    refreshed: int
    evicted: int
    rebased: bool
    stride_complete: bool
    work: Work
    vit_ms: float
    prefill_ms: float


@dataclass(frozen=True, slots=True)
class JobResult:
    """The outcome of the job `ticket`: the `slot_result` of its slot, the answers to its questions,
    or the error.
    """

    ticket: int
    stream: str
    slot_result: SlotResult | None = None
    answers: tuple[Answer, ...] = ()
    error: CodecSightError | None = None


@dataclass(frozen=True, slots=True)
class SessionStats:
    """One stream: `slots` and `tokens` in its window, KV blocks reserved for it and allocated by it
    now, jobs `waiting`; `auxiliary_bytes` held outside the KV pool now, of which
    `vision_cache_bytes` are the ViT's keys and values.
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
    """All streams: KV blocks reserved, left to reserve, and allocated now; bytes reserved, the
    whole pool included, and auxiliary bytes held now; the open `streams` by name; and the work of
    all streams since the start, closed ones included.
    """

    blocks_reserved: int
    blocks_free: int
    blocks_allocated: int
    bytes_reserved: int
    auxiliary_bytes: int
    streams: dict[str, SessionStats]
    work: Work
