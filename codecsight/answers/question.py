"""A question and the kind of answer it wants."""

from dataclasses import dataclass
from enum import StrEnum

from codecsight.errors import CodecSightError

_YES_NO_OPENINGS = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "will"}
)

_MOST = 99


class QuestionKind(StrEnum):
    """How an answer is read from the model: scored among options, or decoded as free text."""

    YES_NO = "yes-no"
    COUNT = "count"
    CHOICE = "choice"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Question:
    """`choices` are the allowed answers of a CHOICE; `most` bounds a COUNT (0..most)."""

    text: str
    kind: QuestionKind
    choices: tuple[str, ...] = ()
    most: int = 9

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise CodecSightError("a question has no text")
        if self.kind is QuestionKind.CHOICE and len(self.choices) < 2:
            raise CodecSightError(f"the question {self.text!r} needs at least two choices")
        if len(self.choices) > _MOST:
            raise CodecSightError(
                f"the question {self.text!r} has {len(self.choices)} choices; at most {_MOST} go"
            )
        if not 1 <= self.most <= _MOST:
            raise CodecSightError(
                f"the question {self.text!r} counts to {self.most}; from 1 to {_MOST} is possible"
            )

    @property
    def options(self) -> tuple[str, ...]:
        """The answers to be scored; empty for free text."""
        match self.kind:
            case QuestionKind.YES_NO:
                return ("yes", "no")
            case QuestionKind.COUNT:
                return tuple(str(n) for n in range(self.most + 1))
            case QuestionKind.CHOICE:
                return self.choices
            case QuestionKind.TEXT:
                return ()

    @staticmethod
    def parse(text: str) -> "Question":
        """Guess the kind from the wording: "Is there ..." yes/no, "How many ..." a count, "... :
        a, b or c"-style lists after `|` a choice ("What colour is the car? | red, blue"),
        anything else free text.
        """
        if "|" in text:
            asked, listed = text.split("|", 1)
            options = tuple(part.strip() for part in listed.split(",") if part.strip())
            return Question(asked.strip(), QuestionKind.CHOICE, options)
        words = text.lower().split()
        if words[:2] == ["how", "many"]:
            return Question(text.strip(), QuestionKind.COUNT)
        if words and words[0] in _YES_NO_OPENINGS:
            return Question(text.strip(), QuestionKind.YES_NO)
        return Question(text.strip(), QuestionKind.TEXT)
