"""Memory of an engine: what streams can hold at most, reserved before they are admitted.

Keys and values are in the KV pool. The auxiliary bytes of a stream are held outside it: its vision
KV cache; ViT features, the latest of every cell and those of every slot in the window (a window
whose positions are rebased is prefilled again from them); the pixels encoded last; and the pixels
of queued slots. Temporary tensors of a step are not counted, nor are the few kilobytes of token
ids, masks and counters.

Example, the default model with a grid of 48 cells and a window of 8 slots: 36 blocks of the pool
(1.18 MB) and 2.15 MB of auxiliary bytes (0.79 vision KV cache, 1.00 features, 0.37 pixels).
"""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from codecsight.core.grid import PatchGrid
from codecsight.engine.attention.pool import BLOCK_TOKENS, blocks_for
from codecsight.engine.config import EngineConfig, EvictionPolicy, QueryView
from codecsight.engine.errors import AdmissionRefused, EngineError
from codecsight.engine.resources.validation import MAX_STREAM_S
from codecsight.models.base import VisionLanguageModel


class MemoryPlanner:
    """Sizes of an engine's KV pool and reservations of its streams. Raises EngineError where the
    pool alone exceeds `config.memory_bytes`.
    """

    def __init__(self, model: VisionLanguageModel, config: EngineConfig) -> None:
        self._model, self._config = model, config
        self._cell_bytes = auxiliary_bytes_per_cell(model, config)
        self.question_tokens = (
            config.step_tokens + config.max_question_tokens + config.max_answer_tokens
        )
        """Tokens of the pool kept for questions: a step full of them, and the longest one."""
        self.pool_blocks = (
            config.kv_blocks
            + blocks_for(len(model.layout.prefix))
            + blocks_for(self.question_tokens)
        )
        """Blocks of all streams, of the prefix that they share, and of questions."""
        self.pool_bytes = self.pool_blocks * block_bytes(model)
        if config.memory_bytes is not None and self.pool_bytes > config.memory_bytes:
            raise EngineError(
                f"{config.kv_blocks} KV blocks take {self.pool_bytes} bytes, those of questions "
                f"included, and memory is {config.memory_bytes}; lower kv_blocks or raise memory"
            )

    def blocks(self, grid: PatchGrid) -> int:
        """KV blocks reserved for a stream: the share `reservation_ratio` of its maximum."""
        max_blocks = blocks_for(stream_tokens(self._model, grid, self._config))
        return math.ceil(max_blocks * self._config.reservation_ratio)

    def auxiliary_bytes(self, grid: PatchGrid) -> int:
        """Bytes reserved for a stream outside the pool: the most that it can hold."""
        return grid.cells * self._cell_bytes

    def reserved(self, grids: Iterable[PatchGrid]) -> tuple[int, int]:
        """KV blocks, and bytes with the whole pool, that are reserved for streams of `grids`."""
        streams = list(grids)
        total_bytes = self.pool_bytes + sum(map(self.auxiliary_bytes, streams))
        return sum(map(self.blocks, streams)), total_bytes

    def admit(self, stream: str, grid: PatchGrid, others: Iterable[PatchGrid]) -> None:
        """Check that a stream fits next to `others`. Raises AdmissionRefused."""
        memory_bytes = self._config.memory_bytes
        blocks_reserved, bytes_reserved = self.reserved(others)
        needed, free = self.blocks(grid), self._config.kv_blocks - blocks_reserved
        if needed > free:
            option = "kv_blocks" if memory_bytes is None else "memory"
            raise AdmissionRefused(stream, needed, free, "KV blocks", option)
        if memory_bytes is None:
            return
        needed, free = self.auxiliary_bytes(grid), memory_bytes - bytes_reserved
        if needed > free:
            raise AdmissionRefused(stream, needed, free, "bytes outside the KV pool", "memory")


def fit_to_memory(
    memory_bytes: int, model: VisionLanguageModel, config: EngineConfig, grid: PatchGrid
) -> EngineConfig:
    """`config` with the largest KV pool that leaves, of `memory_bytes`, enough auxiliary bytes for
    the streams of this grid that fit into the pool. Raises EngineError where none fits.
    """
    empty = MemoryPlanner(model, replace(config, kv_blocks=1, memory_bytes=None))
    left = memory_bytes - empty.pool_bytes + block_bytes(model)
    per_stream = empty.blocks(grid) * block_bytes(model) + empty.auxiliary_bytes(grid)
    if per_stream > left:
        raise EngineError(
            f"a stream of {grid.rows} x {grid.cols} cells takes {per_stream} bytes with "
            f"{model.name}, and {max(left, 0)} of {memory_bytes} are left for streams; raise "
            "memory, shorten the window, or ask for fewer cells"
        )
    kv_blocks = left // per_stream * empty.blocks(grid)
    return replace(config, kv_blocks=kv_blocks, memory_bytes=memory_bytes)


def block_bytes(model: VisionLanguageModel) -> int:
    """Bytes of a KV block: keys and values of all layers."""
    kv = model.kv
    return 2 * kv.layers * BLOCK_TOKENS * kv.heads * kv.head_dim * kv.dtype.itemsize


def auxiliary_bytes_per_cell(model: VisionLanguageModel, config: EngineConfig) -> int:
    """The most bytes that a stream holds outside the pool, per cell of its grid."""
    cache = model.new_vision_kv_cache(1, 1) if config.vision_kv_cache else None
    # Features of every slot in the window, the latest ones, and those of remnants.
    feature_sets = config.window + 1 + (config.eviction is EvictionPolicy.SUPERSEDED)
    features = feature_sets * model.no_cells().cell_bytes
    # uint8 pixels of the queued slots, and those encoded last.
    pixels = (config.max_waiting + 1) * model.frames * 3 * model.cell**2
    return (cache.nbytes if cache else 0) + features + pixels


def slot_tokens(model: VisionLanguageModel, grid: PatchGrid) -> int:
    """The most tokens that a slot of this grid can have: the longest time stamp, every cell."""
    no_cell = np.zeros((grid.rows, grid.cols), np.bool_)
    return len(model.layout.slot(MAX_STREAM_S, no_cell)) + grid.cells


def stream_tokens(model: VisionLanguageModel, grid: PatchGrid, config: EngineConfig) -> int:
    """The most tokens that a stream of this grid can hold: its window and its query context."""
    slots = config.window + (config.query_view is not QueryView.LAST_SLOT)
    remnants = grid.cells if config.eviction is EvictionPolicy.SUPERSEDED else 0
    return len(model.layout.prefix) + slots * slot_tokens(model, grid) + remnants


def window_extent(model: VisionLanguageModel, grid: PatchGrid, config: EngineConfig) -> int:
    """The most rotary positions that a window takes just after it was renumbered."""
    no_cell = np.zeros((grid.rows, grid.cols), np.bool_)
    # At worst each remnant is one cell of a slot of its own, which keeps its whole extent.
    remnants = grid.cells if config.eviction is EvictionPolicy.SUPERSEDED else 0
    return (config.window + remnants) * model.layout.slot(MAX_STREAM_S, no_cell).extent
