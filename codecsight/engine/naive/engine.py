"""The engine's naive twin: the same windows and answers, one stream and one slot at a time."""

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
    """Without pool, packing, admission and limits; for tests, and to measure against."""

    def __init__(self, model: VisionLanguageModel, config: EngineConfig | None = None) -> None:
        self.model = model
        self.config = config or EngineConfig()
        self._meter = FlopMeter(model)
        self._sessions: dict[str, NaiveSession] = {}

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Let a stream in."""
        self._sessions[stream] = NaiveSession(stream, self.model, grid, self.config, self._meter)

    def close(self, stream: str) -> None:
        """Let a stream go."""
        del self._sessions[stream]

    def reset(self, stream: str) -> None:
        """Forget what a stream has shown."""
        self._sessions[stream].reset()

    def needs_anchor(self, stream: str) -> bool:
        """Whether the stream's next slot must be an anchor."""
        return self._sessions[stream].needs_anchor

    def push(self, stream: str, slot: Slot) -> SlotResult:
        """Take in a stream's next slot."""
        return self._sessions[stream].push(slot)

    def ask(self, stream: str, question: Question) -> Answer:
        """DecodeRequest about what a stream shows now."""
        return self.ask_all(stream, [question])[0]

    def ask_all(self, stream: str, questions: Sequence[Question]) -> list[Answer]:
        """DecodeRequest several questions at once."""
        return self._sessions[stream].ask(questions)

    def tokens(self, stream: str) -> int:
        """Tokens in a stream's window."""
        return self._sessions[stream].kv.length

    def work(self, stream: str) -> Work:
        """What a stream has cost."""
        return self._sessions[stream].work
