"""What waits to be done for a stream, and how far it has come."""

from dataclasses import dataclass, field

import numpy as np

from codecsight.core.slot import Slot
from codecsight.engine.attention.pool import Rows
from codecsight.engine.attention.segments import KVCopies, PackedSegment
from codecsight.engine.encoder_input import EncodeRequest
from codecsight.engine.request import DecodeRequest, QuestionBatch
from codecsight.engine.resources.flops import Flops
from codecsight.engine.window import CachedSlot
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens


@dataclass(slots=True)
class Prefill:
    """A slot on its way into the window, and the slots that are computed again with it: `indices`
    in the window, and all their `places`, the first `done` of which are finished. The ViT takes a
    `look`; `tokens` and `cells` are those to be prefilled, known once it has.
    """

    entry: CachedSlot
    look: EncodeRequest
    indices: list[int]
    places: Rows
    evicted: int
    rebased: bool
    moved: bool
    done: int = 0
    tokens: Tokens | None = None
    cells: CellFeatures | None = None
    spent: Flops = field(default_factory=Flops)
    vit_ms: float = 0.0
    prefill_ms: float = 0.0

    @property
    def left(self) -> int:
        """Tokens still to be prefilled."""
        return len(self.places) - self.done

    def chunk(self, count: int) -> tuple[Tokens, CellFeatures]:
        """The next tokens, and the features of the cells among them."""
        assert self.tokens is not None and self.cells is not None  # noqa: S101, PT018
        if count == len(self.places):
            return self.tokens, self.cells
        cells = np.cumsum([0, *self.tokens.visual.tolist()])
        own = np.arange(cells[self.done], cells[self.done + count])
        return self.tokens.select(np.arange(self.done, self.done + count)), self.cells.select(own)


@dataclass(slots=True)
class Job:
    """What was submitted together: a slot (with its tokens), questions, or a slot and the questions
    that are due if it completes a stride. `since` is when it became the next in its stream.
    """

    ticket: int
    arrived: float
    since: float
    slot: Slot | None = None
    tokens: Tokens | None = None
    question_batch: QuestionBatch | None = None
    prefill: Prefill | None = None

    @property
    def encoded(self) -> bool:
        """Whether nothing is left for the ViT."""
        return self.prefill is None or self.prefill.tokens is not None


@dataclass(slots=True)
class BatchItem:
    """A session's part of a pass: `prefilled` tokens, then the runs of a standpoint, then a run
    for each of the `asks`.
    """

    runs: list[PackedSegment] = field(default_factory=list)
    copies: list[KVCopies] = field(default_factory=list)
    prefilled: int = 0
    asks: list[DecodeRequest] = field(default_factory=list)
