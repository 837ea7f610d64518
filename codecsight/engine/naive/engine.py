"""The naive engine: the same windows and answers, one stream and one slot at a time."""

from collections.abc import Sequence

from codecsight.core.answer import Answer
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.engine.config import EngineConfig
from codecsight.engine.naive.session import NaiveSession
from codecsight.engine.resources.flops import FlopMeter, Work
from codecsight.engine.results import SlotResult
from codecsight.models.base import VisionLanguageModel


class NaiveEngine:
    """An engine without pool, packing, admission and limits: a reference for tests, and a baseline
    for measurements.
    """

    def __init__(self, model: VisionLanguageModel, config: EngineConfig | None = None) -> None:
        self.model = model
        self.config = config or EngineConfig()
        self._meter = FlopMeter(model)
        self._sessions: dict[str, NaiveSession] = {}

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Open a stream."""
        self._sessions[stream] = NaiveSession(stream, self.model, grid, self.config, self._meter)

    def close(self, stream: str) -> None:
        """Close a stream."""
        del self._sessions[stream]

    def reset(self, stream: str) -> None:
        """Discard a stream's window."""
        self._sessions[stream].reset()

    def needs_anchor(self, stream: str) -> bool:
        """Whether the stream's next slot must be an anchor."""
        return self._sessions[stream].needs_anchor

    def push(self, stream: str, slot: Slot) -> SlotResult:
        """Prefill a stream's next slot."""
        return self._sessions[stream].push(slot)

    def ask(self, stream: str, question: Question) -> Answer:
        """Answer a question about the stream's window."""
        return self.ask_all(stream, [question])[0]

    def ask_all(self, stream: str, questions: Sequence[Question]) -> list[Answer]:
        """Answer several questions."""
        return self._sessions[stream].ask(questions)

    def tokens(self, stream: str) -> int:
        """Tokens in a stream's window."""
        return self._sessions[stream].kv.length

    def work(self, stream: str) -> Work:
        """Operations that a stream has cost."""
        return self._sessions[stream].work
