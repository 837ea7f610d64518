"""How the engine keeps its windows."""

from dataclasses import dataclass
from enum import StrEnum

from codecsight.engine.errors import EngineError
from codecsight.engine.refresh import refresh_policy


class Present(StrEnum):
    """What a question finds at the newest slot's place.

    LAST_SLOT is the slot as it was pruned. CANVAS is the same slot made whole: every cell that
    was left out of it is there too, as last seen, so that what stands still stays visible.
    """

    LAST_SLOT = "last-slot"
    CANVAS = "canvas"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """`window` and `stride` are in slots: a full window gives up its `stride` oldest slots when
    the next one arrives. `refresh` names which of the slots that stay are computed again then
    (see `refresh_policy`). `kv_blocks` is the budget for all streams together. Positions grow
    until `rebase_at` (or four windows' worth, where that is more); then the window is computed
    anew from 0, since float32 rotary angles lose about position * 6e-8 radians: at 2048 that
    moves logits by some 1e-5.
    """

    window: int = 8
    stride: int = 2
    refresh: str = "anchors"
    present: Present = Present.CANVAS
    kv_blocks: int = 4096
    rebase_at: int = 2048
    max_question_tokens: int = 1024
    max_answer_tokens: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.window:
            raise EngineError(f"stride {self.stride} must be from 1 to the window, {self.window}")
        for name in ("kv_blocks", "rebase_at", "max_question_tokens", "max_answer_tokens"):
            if getattr(self, name) < 1:
                raise EngineError(f"{name} must be at least 1, not {getattr(self, name)}")
        refresh_policy(self.refresh)
