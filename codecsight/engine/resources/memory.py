"""What streams may keep of a device's memory, set aside before they are let in.

Keys and values lie in the pool. Beside it a stream keeps what the ViT remembers of its cells; what
it said of them, newest (the canvas) and slot by slot, since a window whose positions begin anew is
prefilled again; their pixels as last seen; and slots that wait. What a step needs only while it
runs isn't counted, nor are the few kilobytes of token numbers, masks and counts.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from codecsight.core.grid import PatchGrid
from codecsight.engine.config import EngineConfig, Evict
from codecsight.engine.errors import AdmissionRefused, EngineError
from codecsight.engine.resources.validation import BLOCK_TOKENS, blocks, stream_tokens
from codecsight.models.base import VisionLanguageModel


class Budget:
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
            config.kv_blocks + blocks(len(model.layout.prefix)) + blocks(self.question_rows)
        )
        """What all streams may hold, the prefix that they share, and the questions' rows."""
        self.pool_bytes = self.pool_blocks * block_bytes(model)
        if config.memory is not None and self.pool_bytes > config.memory:
            raise EngineError(
                f"{config.kv_blocks} KV blocks take {self.pool_bytes} bytes with what questions "
                f"need, and memory is {config.memory}; lower kv_blocks or raise memory"
            )

    def blocks(self, grid: PatchGrid) -> int:
        """KV blocks that are set aside for a stream: the share `commit` of what it may hold."""
        most = blocks(stream_tokens(self._model, grid, self._config))
        return math.ceil(most * self._config.commit)

    def beside(self, grid: PatchGrid) -> int:
        """Bytes that are set aside for it beside the pool: all that it may ever keep."""
        return grid.cells * self._cell_bytes

    def used(self, grids: Iterable[PatchGrid]) -> tuple[int, int]:
        """KV blocks, and bytes with the whole pool, set aside when there are streams of `grids`."""
        there = list(grids)
        bytes_ = self.pool_bytes + sum(map(self.beside, there))
        return sum(map(self.blocks, there)), bytes_

    def admit(self, stream: str, grid: PatchGrid, others: Iterable[PatchGrid]) -> None:
        """Whether there is room for a stream beside the `others`. Raises AdmissionRefused."""
        memory, (used, kept) = self._config.memory, self.used(others)
        needed, free = self.blocks(grid), self._config.kv_blocks - used
        if needed > free:
            more = "kv_blocks" if memory is None else "memory"
            raise AdmissionRefused(stream, needed, free, "KV blocks", more)
        if memory is not None and self.beside(grid) > memory - kept:
            raise AdmissionRefused(
                stream, self.beside(grid), memory - kept, "bytes beside the KV pool", "memory"
            )


def within(
    memory: int, model: VisionLanguageModel, config: EngineConfig, grid: PatchGrid
) -> EngineConfig:
    """`config` with the KV pool that leaves, of `memory` bytes, as much beside it as streams of
    this grid need. Raises EngineError where not even one would fit.
    """
    empty = Budget(model, replace(config, kv_blocks=1, memory=None))
    room = memory - empty.pool_bytes + block_bytes(model)
    each = empty.blocks(grid) * block_bytes(model) + empty.beside(grid)
    if each > room:
        raise EngineError(
            f"a stream of {grid.rows} x {grid.cols} cells keeps {each} bytes of {model.name}, and "
            f"{max(room, 0)} of {memory} are left for streams; raise memory, shorten the window, "
            "or ask for fewer cells"
        )
    return replace(config, kv_blocks=room // each * empty.blocks(grid), memory=memory)


def block_bytes(model: VisionLanguageModel) -> int:
    """What a KV block takes, keys and values of all layers."""
    kv = model.kv
    return 2 * kv.layers * BLOCK_TOKENS * kv.heads * kv.head_dim * kv.dtype.itemsize


def cell_bytes(model: VisionLanguageModel, config: EngineConfig) -> int:
    """The most that a stream ever keeps beside the pool, per cell of its grid."""
    memory = model.new_vision_kv_cache(1, 1) if config.remember else None
    pictures = config.window + 1 + (config.evict is Evict.SUPERSEDED)  # the canvas, what outlived
    said = pictures * model.no_cells().cell_bytes
    shown = (config.max_waiting + 1) * model.frames * 3 * model.cell**2  # bytes: uint8
    return (memory.nbytes if memory else 0) + said + shown
