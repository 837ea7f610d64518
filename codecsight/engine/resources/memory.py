"""What streams may keep of a device's memory, set aside before they are let in.

Keys and values lie in the pool. Beside it a stream keeps what the ViT remembers of its cells; what
it said of them, newest (the canvas) and slot by slot, since a window whose positions begin anew is
prefilled again; their pixels as last seen; and slots that wait. What a step needs only while it
runs isn't counted, nor are the few kilobytes of token numbers, masks and counts.
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
    """The blocks of an engine's pool, and the bytes of all that it keeps, if `config` bounds them.
    Raises EngineError where the pool alone takes more.
    """

    def __init__(self, model: VisionLanguageModel, config: EngineConfig) -> None:
        self._model, self._config = model, config
        self._cell_bytes = cell_bytes(model, config)
        self.question_rows = (
            config.step_tokens + config.max_question_tokens + config.max_answer_tokens
        )
        """Rows kept for questions: for a step full of them, and for the longest."""
        self.pool_blocks = (
            config.kv_blocks + blocks_for(len(model.layout.prefix)) + blocks_for(self.question_rows)
        )
        """What all streams may hold, the prefix that they share, and the questions' rows."""
        self.pool_bytes = self.pool_blocks * block_bytes(model)
        if config.memory_bytes is not None and self.pool_bytes > config.memory_bytes:
            raise EngineError(
                f"{config.kv_blocks} KV blocks take {self.pool_bytes} bytes with what questions "
                f"need, and memory is {config.memory_bytes}; lower kv_blocks or raise memory"
            )

    def blocks(self, grid: PatchGrid) -> int:
        """KV blocks that are set aside for a stream: the share `commit` of what it may hold."""
        most = blocks_for(stream_tokens(self._model, grid, self._config))
        return math.ceil(most * self._config.reservation_ratio)

    def auxiliary_bytes(self, grid: PatchGrid) -> int:
        """Bytes that are set aside for it beside the pool: all that it may ever keep."""
        return grid.cells * self._cell_bytes

    def used(self, grids: Iterable[PatchGrid]) -> tuple[int, int]:
        """KV blocks, and bytes with the whole pool, set aside when there are streams of `grids`."""
        there = list(grids)
        bytes_ = self.pool_bytes + sum(map(self.auxiliary_bytes, there))
        return sum(map(self.blocks, there)), bytes_

    def admit(self, stream: str, grid: PatchGrid, others: Iterable[PatchGrid]) -> None:
        """Whether there is room for a stream beside the `others`. Raises AdmissionRefused."""
        memory, (used, kept) = self._config.memory_bytes, self.used(others)
        needed, free = self.blocks(grid), self._config.kv_blocks - used
        if needed > free:
            more = "kv_blocks" if memory is None else "memory"
            raise AdmissionRefused(stream, needed, free, "KV blocks", more)
        if memory is not None and self.auxiliary_bytes(grid) > memory - kept:
            raise AdmissionRefused(
                stream,
                self.auxiliary_bytes(grid),
                memory - kept,
                "bytes beside the KV pool",
                "memory",
            )


def fit_to_memory(
    memory: int, model: VisionLanguageModel, config: EngineConfig, grid: PatchGrid
) -> EngineConfig:
    """`config` with the KV pool that leaves, of `memory` bytes, as much beside it as streams of
    this grid need. Raises EngineError where not even one would fit.
    """
    empty = MemoryPlanner(model, replace(config, kv_blocks=1, memory_bytes=None))
    room = memory - empty.pool_bytes + block_bytes(model)
    each = empty.blocks(grid) * block_bytes(model) + empty.auxiliary_bytes(grid)
    if each > room:
        raise EngineError(
            f"a stream of {grid.rows} x {grid.cols} cells keeps {each} bytes of {model.name}, and "
            f"{max(room, 0)} of {memory} are left for streams; raise memory, shorten the window, "
            "or ask for fewer cells"
        )
    return replace(config, kv_blocks=room // each * empty.blocks(grid), memory_bytes=memory)


def block_bytes(model: VisionLanguageModel) -> int:
    """What a KV block takes, keys and values of all layers."""
    kv = model.kv
    return 2 * kv.layers * BLOCK_TOKENS * kv.heads * kv.head_dim * kv.dtype.itemsize


def cell_bytes(model: VisionLanguageModel, config: EngineConfig) -> int:
    """The most that a stream ever keeps beside the pool, per cell of its grid."""
    memory = model.new_vision_kv_cache(1, 1) if config.vision_kv_cache else None
    pictures = (
        config.window + 1 + (config.eviction is EvictionPolicy.SUPERSEDED)
    )  # the canvas, what outlived
    said = pictures * model.no_cells().cell_bytes
    shown = (config.max_waiting + 1) * model.frames * 3 * model.cell**2  # bytes: uint8
    return (memory.nbytes if memory else 0) + said + shown


def slot_tokens(model: VisionLanguageModel, grid: PatchGrid) -> int:
    """The most tokens a slot of this grid can have."""
    empty = np.zeros((grid.rows, grid.cols), np.bool_)
    return len(model.layout.slot(MAX_STREAM_S, empty)) + grid.cells


def stream_tokens(model: VisionLanguageModel, grid: PatchGrid, config: EngineConfig) -> int:
    """The most tokens a stream of this grid can hold: its window, and what questions stand on."""
    slots = config.window + (config.query_view is not QueryView.LAST_SLOT)
    outlived = grid.cells if config.eviction is EvictionPolicy.SUPERSEDED else 0
    return len(model.layout.prefix) + slots * slot_tokens(model, grid) + outlived


def window_extent(model: VisionLanguageModel, grid: PatchGrid, config: EngineConfig) -> int:
    """The most positions a window can take when they are numbered anew."""
    empty = np.zeros((grid.rows, grid.cols), np.bool_)
    outlived = grid.cells if config.eviction is EvictionPolicy.SUPERSEDED else 0
    return (config.window + outlived) * model.layout.slot(MAX_STREAM_S, empty).extent
