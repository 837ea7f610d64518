"""How the engine keeps its windows."""

from dataclasses import dataclass
from enum import StrEnum

from codecsight.engine.errors import EngineError
from codecsight.engine.refresh import refresh_policy


class Present(StrEnum):
    """What a question finds at the newest slot's place.

    LAST_SLOT is the slot as it was pruned. With the others, what stands still stays visible:
    CANVAS is the same slot made whole and prefilled anew, every cell that was left out of it as
    the ViT last saw it; RETIMED leaves the slot as it is and adds copies of the cached keys of
    those cells, turned to the present (same values; nothing is encoded or prefilled).
    """

    LAST_SLOT = "last-slot"
    CANVAS = "canvas"
    RETIMED = "retimed"


class Evict(StrEnum):
    """What a full window gives up: its oldest slots (AGE), or of these only the cells that a newer
    token of the same cell has superseded (SUPERSEDED), so that it always holds every cell.
    """

    AGE = "age"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`window` and `stride` are in slots: a full window gives up its `stride` oldest slots when
    the next one arrives, by the rule `evict`. `refresh` names which of the slots that stay are
    computed again then (see `refresh_policy`).

    To `remember` is to let new cells attend in the ViT to what it left of all others; then cells of
    an anchor that differ by at most `still` grey levels from what the ViT last saw of them keep
    what it said (0: it looks again). Where that is not wanted, or a family's ViT can't, it sees
    `ring` cells around the kept ones too, as last shipped (0: the kept cells alone). See `Sight`.

    `kv_blocks` is the budget for all streams together, `memory` that in bytes of all that is kept
    for them: the pool, and what is beside it (None: as much as the streams need that the pool lets
    in). `within` finds the blocks that fit into so many bytes. Of the blocks that a stream may ever
    hold, admission reserves the share `commit`; below 1, blocks can run out, and then the stream
    that has been quiet the longest loses its KV. `step_tokens` bounds the work of one step,
    `max_waiting` the slots that may wait per stream.

    Positions grow until `rebase_at` (or four windows' worth, where that is more); then the window
    is computed anew from 0, since float32 rotary angles lose about position * 6e-8 radians: at
    2048 that moves logits by some 1e-5.
    """

    window: int = 8
    stride: int = 2
    evict: Evict = Evict.AGE
    refresh: str = "none"
    present: Present = Present.RETIMED
    remember: bool = True
    ring: int = 1
    still: float = 8.0
    kv_blocks: int = 4096
    memory: int | None = None
    commit: float = 1.0
    step_tokens: int = 1024
    max_waiting: int = 4
    rebase_at: int = 2048
    max_question_tokens: int = 1024
    max_answer_tokens: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.window:
            raise EngineError(f"stride {self.stride} must be from 1 to the window, {self.window}")
        if not 0 < self.commit <= 1:
            raise EngineError(f"commit must be above 0 and at most 1, not {self.commit}")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise EngineError(f"{name} must be at least 1, not {getattr(self, name)}")
        refresh_policy(self.refresh)


_COUNTS = (
    "kv_blocks",
    "step_tokens",
    "max_waiting",
    "rebase_at",
    "max_question_tokens",
    "max_answer_tokens",
)
