"""Settings of the engine: window, policies, memory and the size of a step."""

from dataclasses import dataclass
from enum import StrEnum

from codecsight.engine.errors import EngineError
from codecsight.engine.window import refresh_policy


class QueryView(StrEnum):
    """Which cells of the newest slot a question attends to.

    LAST_SLOT: the slot as it was pruned; cells that did not change are missing from it.
    LATEST_FEATURES: the slot with every cell, prefilled again from the newest ViT features of each.
    REROTATED: the slot as it was pruned, and for each missing cell a copy of its newest cached key,
    re-rotated to the newest slot, with the same value. Nothing is encoded, and prefilled only where
    the window holds no key of a cell any more.
    """

    LAST_SLOT = "last-slot"
    LATEST_FEATURES = "latest-features"
    REROTATED = "rerotated"


class EvictionPolicy(StrEnum):
    """What a full window gives up.

    AGE: its oldest slots. SUPERSEDED: of its oldest slots only the cells of which a newer slot
    holds a token, so that the window always holds every cell.
    """

    AGE = "age"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one engine. Raises EngineError for values out of range.

    Window: `window` and `stride` are in slots. When a slot arrives at a full window, the `stride`
    oldest slots are evicted by the policy `eviction`. `refresh` names the policy that chooses which
    of the remaining slots are prefilled again (see `refresh_policy`).

    ViT input: with `vision_kv_cache`, new cells attend in the ViT to the cached keys and values of
    all other cells of the stream, and cells of a later anchor that differ by at most
    `static_threshold` grey levels from their last encoded pixels keep their features (0: all cells
    are encoded again). Without it, or where a family's ViT has no such cache, the ViT also reads
    the cells within `neighbour_radius` of the kept ones, from the pixels shipped last (0: the kept
    cells alone). See `EncoderInput`.

    Memory: `kv_blocks` is the KV budget of all streams together; `memory_bytes` bounds all that is
    held for them, KV pool and auxiliary bytes (None: unbounded). `fit_to_memory` computes
    `kv_blocks` from bytes. Admission reserves the share `reservation_ratio` of the blocks that a
    stream can hold at most. Below 1 the pool can run out; then the stream that has been idle
    longest loses its KV.

    Steps: `step_tokens` bounds the tokens of one step, `max_waiting` the queued slots per stream.

    Positions grow up to `rebase_at` (at least four windows); then the window is prefilled again
    from position 0, because float32 rotary angles lose about position * 6e-8 radians: at 2048 that
    moves logits by about 1e-5.
    """

    window: int = 8
    stride: int = 2
    eviction: EvictionPolicy = EvictionPolicy.AGE
    refresh: str = "none"
    query_view: QueryView = QueryView.REROTATED
    vision_kv_cache: bool = True
    neighbour_radius: int = 1
    static_threshold: float = 8.0
    kv_blocks: int = 4096
    memory_bytes: int | None = None
    reservation_ratio: float = 1.0
    step_tokens: int = 1024
    max_waiting: int = 4
    rebase_at: int = 2048
    max_question_tokens: int = 1024
    max_answer_tokens: int = 64

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.window:
            raise EngineError(f"stride {self.stride} must be from 1 to the window, {self.window}")
        if not 0 < self.reservation_ratio <= 1:
            raise EngineError(
                f"reservation_ratio must be above 0 and at most 1, not {self.reservation_ratio}"
            )
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
