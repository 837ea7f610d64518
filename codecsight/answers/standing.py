"""Standing questions: asked again every time a stream's window has advanced by a stride."""

from collections.abc import Callable, Sequence
from typing import Protocol

from codecsight.core.answer import Answer
from codecsight.core.question import Question


class SlotOutcome(Protocol):
    """Effect of one pushed slot on its stream's window."""

    @property
    def stream(self) -> str:
        """Name of the stream."""
        ...

    @property
    def stride_complete(self) -> bool:
        """Whether a stride is complete."""
        ...


class QuestionEngine(Protocol):
    """An engine that answers questions about a stream's window."""

    def ask_all(
        self, stream: str, questions: Sequence[Question], on_token: Callable[[str, str], None]
    ) -> list[Answer]:
        """Answer several questions about one stream. `on_token` receives the question and the text
        so far after each token of a free-form answer.
        """
        ...


class StandingQuestions:
    """The standing questions of each stream."""

    def __init__(self) -> None:
        self._questions: dict[str, tuple[Question, ...]] = {}

    def set(self, stream: str, questions: Sequence[Question]) -> None:
        """Replace a stream's questions. An empty sequence removes them."""
        self._questions[stream] = tuple(questions)
        if not questions:
            del self._questions[stream]

    def of(self, stream: str) -> tuple[Question, ...]:
        """The standing questions of a stream."""
        return self._questions.get(stream, ())

    def answer(
        self, engine: QuestionEngine, outcome: SlotOutcome, on_token: Callable[[str, str], None]
    ) -> list[Answer]:
        """Ask all questions of the stream if a stride is complete, else none. `on_token` receives
        the question and the text so far after each token of a free-form answer.
        """
        questions = self.of(outcome.stream)
        if not outcome.stride_complete or not questions:
            return []
        return engine.ask_all(outcome.stream, questions, on_token)
