"""Many streams on one model: who is let in, whose turn it is, what it all costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from codecsight.answers.answer import Answer
from codecsight.answers.question import Question
from codecsight.change.grid import PatchGrid
from codecsight.change.slot import Slot
from codecsight.engine.admission import blocks, check_grid, window_tokens
from codecsight.engine.config import EngineConfig
from codecsight.engine.errors import AdmissionRefused, EngineError
from codecsight.engine.flops import FlopMeter, Work
from codecsight.engine.session import Step, StreamSession
from codecsight.models.base import VisionLanguageModel


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream: `slots` and `tokens` in its window, KV `blocks` reserved for it."""

    slots: int
    tokens: int
    blocks: int
    needs_anchor: bool
    work: Work


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """KV blocks reserved and free, the open streams, and the work of all streams ever open."""

    blocks_used: int
    blocks_free: int
    streams: dict[str, StreamStatus]
    work: Work


class Engine:
    """Serves one call at a time; the caller gives it a thread of its own."""

    def __init__(self, model: VisionLanguageModel, config: EngineConfig | None = None) -> None:
        self.model = model
        self.config = config or EngineConfig()
        self._meter = FlopMeter(model)
        self._sessions: dict[str, StreamSession] = {}
        self._closed = Work()

    def open(self, stream: str, grid: PatchGrid) -> None:
        """Let a stream in, and reserve what its window may ever hold. Raises AdmissionRefused
        when the budget is spent, EngineError for a stream that is open or another model's grid.
        """
        if stream in self._sessions:
            raise EngineError(f"stream {stream!r} is open already; close it first")
        check_grid(self.model, grid)
        needed, free = self._blocks(grid), self.config.kv_blocks - self._blocks_used
        if needed > free:
            raise AdmissionRefused(stream, needed, free)
        self._sessions[stream] = StreamSession(stream, self.model, grid, self.config, self._meter)

    def close(self, stream: str) -> None:
        """Let a stream go, with all that was kept of it."""
        self._closed += self._session(stream).work
        del self._sessions[stream]

    def reset(self, stream: str) -> None:
        """Forget what a stream has shown but keep its place; its next slot must be an anchor."""
        self._session(stream).reset()

    def needs_anchor(self, stream: str) -> bool:
        """Whether the stream's next slot must be an anchor."""
        return self._session(stream).needs_anchor

    def push(self, stream: str, slot: Slot) -> Step:
        """Take in a stream's next slot. Raises SlotRefused, with the window unharmed, for a slot
        that does not fit the stream.
        """
        return self._session(stream).push(slot)

    def ask(self, stream: str, question: Question) -> Answer:
        """Ask about what a stream shows now; leaves no trace in its window."""
        return self.ask_all(stream, [question])[0]

    def ask_all(self, stream: str, questions: Sequence[Question]) -> list[Answer]:
        """Ask several questions at once: those with options share one forward pass."""
        return self._session(stream).ask(questions)

    def status(self) -> EngineStatus:
        """Where the engine stands."""
        streams = {
            name: StreamStatus(
                slots=len(session.window.entries),
                tokens=session.kv.length,
                blocks=self._blocks(session.grid),
                needs_anchor=session.needs_anchor,
                work=session.work,
            )
            for name, session in self._sessions.items()
        }
        used = self._blocks_used
        work = sum((session.work for session in self._sessions.values()), self._closed)
        return EngineStatus(used, self.config.kv_blocks - used, streams, work)

    def _session(self, stream: str) -> StreamSession:
        if stream not in self._sessions:
            raise EngineError(f"stream {stream!r} is not open here")
        return self._sessions[stream]

    def _blocks(self, grid: PatchGrid) -> int:
        return blocks(window_tokens(self.model, grid, self.config.window))

    @property
    def _blocks_used(self) -> int:
        return sum(self._blocks(session.grid) for session in self._sessions.values())
