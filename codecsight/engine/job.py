"""Jobs of a stream, how far they have come, and what they put into a step."""

from dataclasses import dataclass, field

import numpy as np

from codecsight.core.slot import Slot
from codecsight.engine.attention.segments import KVCopies, PackedSegment, SequencePositions
from codecsight.engine.encoder_input import EncodeRequest
from codecsight.engine.request import DecodeRequest, QuestionBatch
from codecsight.engine.resources.flops import Flops, Work
from codecsight.engine.results import SlotResult
from codecsight.engine.window import CachedSlot
from codecsight.models.base import CellFeatures
from codecsight.models.prompt import Tokens


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a slot was placed in its window. `indices` are the slots to prefill, the refreshed ones
    and the new one last; `positions` are all their sequence positions. `evicted` tokens had to go;
    `rebased` and `stride_complete` as in `SlotResult`.
    """

    indices: list[int]
    positions: SequencePositions
    evicted: int
    rebased: bool
    stride_complete: bool


@dataclass(slots=True)
class Prefill:
    """A slot on its way into the window, together with the slots that are refreshed with it.

    Of the positions of its `placement`, the first `computed` are finished. `tokens` and `cells` are
    what is prefilled; they are set once the ViT has run `encode_request`.
    """

    entry: CachedSlot
    encode_request: EncodeRequest
    placement: Placement
    computed: int = 0
    tokens: Tokens | None = None
    cells: CellFeatures | None = None
    spent: Flops = field(default_factory=Flops)
    vit_ms: float = 0.0
    prefill_ms: float = 0.0

    @property
    def remaining(self) -> int:
        """Tokens still to be prefilled."""
        return len(self.placement.positions) - self.computed

    def next_positions(self, count: int) -> SequencePositions:
        """The sequence positions of the next `count` tokens."""
        return self.placement.positions[self.computed : self.computed + count]

    def prefill_chunk(self, count: int) -> tuple[Tokens, CellFeatures]:
        """The next `count` tokens, and the features of the cells among them."""
        assert self.tokens is not None and self.cells is not None  # noqa: S101, PT018
        if count == len(self.placement.positions):
            return self.tokens, self.cells
        # Cells before each token: maps a range of tokens to a range of features.
        cells_before = np.cumsum([0, *self.tokens.visual.tolist()])
        chunk = np.arange(self.computed, self.computed + count)
        cells = np.arange(cells_before[self.computed], cells_before[self.computed + count])
        return self.tokens.select(chunk), self.cells.select(cells)

    def result(self, stream: str, slots: int, work: Work) -> SlotResult:
        """The outcome, with the number of `slots` now in the window and the `work` of this one."""
        return SlotResult(
            stream=stream,
            slots=slots,
            prefilled=self.entry.length,
            refreshed=len(self.placement.positions) - self.entry.length,
            evicted=self.placement.evicted,
            rebased=self.placement.rebased,
            stride_complete=self.placement.stride_complete,
            work=work,
            vit_ms=self.vit_ms,
            prefill_ms=self.prefill_ms,
        )


@dataclass(slots=True, eq=False)
class Job:
    """What was submitted together: a slot (with its tokens), questions, or a slot and the questions
    that are due if it completes a stride. `since`: when it became the stream's first job.
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

    @property
    def cancelled(self) -> bool:
        """Whether it has only questions, and nobody waits for their answers."""
        return self.slot is None and bool(self.question_batch and self.question_batch.cancelled)

    @property
    def pending(self) -> list[DecodeRequest]:
        """Its questions that are not answered yet."""
        return self.question_batch.pending if self.question_batch else []


@dataclass(slots=True)
class BatchItem:
    """One session's part of a model call. `segments` are, in this order: `prefilled` tokens of its
    slot (if any), those of the query context, and one for each of the `requests`.
    """

    segments: list[PackedSegment] = field(default_factory=list)
    copies: list[KVCopies] = field(default_factory=list)
    prefilled: int = 0
    requests: list[DecodeRequest] = field(default_factory=list)
