"""Questions that are asked again each time a stream's window has moved."""

from collections.abc import Callable, Sequence
from typing import Protocol

from codecsight.core.answer import Answer
from codecsight.core.question import Question


class SlotOutcome(Protocol):
    """What happened to a stream's window."""

    @property
    def stream(self) -> str:
        """Whose window."""
        ...

    @property
    def moved(self) -> bool:
        """Whether a stride is complete."""
        ...


class QuestionEngine(Protocol):
    """Where questions are asked."""

    def ask_all(
        self, stream: str, questions: Sequence[Question], hear: Callable[[str, str], None]
    ) -> list[Answer]:
        """Ask several questions of one stream; `hear` is told the words of what is spoken."""
        ...


class StandingQuestions:
    """The standing questions of each stream."""

    def __init__(self) -> None:
        self._questions: dict[str, tuple[Question, ...]] = {}

    def set(self, stream: str, questions: Sequence[Question]) -> None:
        """Replace a stream's questions; none at all removes them."""
        self._questions[stream] = tuple(questions)
        if not questions:
            del self._questions[stream]

    def of(self, stream: str) -> tuple[Question, ...]:
        """What is asked of a stream."""
        return self._questions.get(stream, ())

    def answer(
        self, engine: QuestionEngine, step: SlotOutcome, hear: Callable[[str, str], None]
    ) -> list[Answer]:
        """Ask what is due after `step`: everything when the window has moved, else nothing. `hear`
        is told of each new word of a spoken answer: the question, and the answer so far.
        """
        questions = self.of(step.stream)
        return engine.ask_all(step.stream, questions, hear) if step.moved and questions else []
