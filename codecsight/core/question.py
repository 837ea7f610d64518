"""A question and the kind of answer it wants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from codecsight.core.errors import CodecSightError

_YES_NO_OPENINGS = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "will"}
)

_MOST = 99
_LONGEST_SCHEMA = 1 << 14


class QuestionKind(StrEnum):
    """How an answer is read from the model: scored among options, or decoded word by word, as free
    text or in the shape of a JSON schema.
    """

    YES_NO = "yes-no"
    COUNT = "count"
    CHOICE = "choice"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Question:
    """A question: `choices` are the options of a CHOICE, `max_count` is the upper bound of a COUNT
    (0..max_count), `schema` is the JSON schema (of an object, as text) that a JSON answer follows.
    """

    text: str
    kind: QuestionKind
    choices: tuple[str, ...] = ()
    max_count: int = 9
    schema: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise CodecSightError("a question has no text")
        if self.kind is QuestionKind.CHOICE and len(self.choices) < 2:
            raise CodecSightError(f"the question {self.text!r} needs at least two choices")
        if len(self.choices) > _MOST:
            raise CodecSightError(
                f"the question {self.text!r} has {len(self.choices)} choices; at most {_MOST} go"
            )
        if not 1 <= self.max_count <= _MOST:
            raise CodecSightError(
                f"the question {self.text!r} counts to {self.max_count}; "
                f"from 1 to {_MOST} is possible"
            )
        if self.kind is QuestionKind.JSON:
            _check_schema(self)

    @property
    def free_form(self) -> bool:
        """Whether the answer is said word by word, not scored."""
        return self.kind in (QuestionKind.TEXT, QuestionKind.JSON)

    @property
    def options(self) -> tuple[str, ...]:
        """The answers to be scored; none where it is spoken."""
        match self.kind:
            case QuestionKind.YES_NO:
                return ("yes", "no")
            case QuestionKind.COUNT:
                return tuple(str(n) for n in range(self.max_count + 1))
            case QuestionKind.CHOICE:
                return self.choices
            case QuestionKind.TEXT | QuestionKind.JSON:
                return ()

    @staticmethod
    def with_schema(text: str, schema: Mapping[str, object]) -> "Question":
        """A question to be answered by an object that follows a JSON schema, such as a pydantic
        model's `model_json_schema()`.
        """
        return Question(text.strip(), QuestionKind.JSON, schema=json.dumps(schema))

    @staticmethod
    def parse(text: str) -> "Question":
        """Guess the kind from the wording: "Is there ..." yes/no, "How many ..." a count, "... :
        a, b or c"-style lists after `|` a choice ("What colour is the car? | red, blue"), a JSON
        schema after `|` an object ('What is there? | {"type": "object", ...}'), anything else free
        text.
        """
        if "|" in text:
            asked, listed = text.split("|", 1)
            if listed.lstrip().startswith("{"):
                return Question(asked.strip(), QuestionKind.JSON, schema=listed.strip())
            options = tuple(part.strip() for part in listed.split(",") if part.strip())
            return Question(asked.strip(), QuestionKind.CHOICE, options)
        words = text.lower().split()
        if words[:2] == ["how", "many"]:
            return Question(text.strip(), QuestionKind.COUNT)
        if words and words[0] in _YES_NO_OPENINGS:
            return Question(text.strip(), QuestionKind.YES_NO)
        return Question(text.strip(), QuestionKind.TEXT)


def _check_schema(question: Question) -> None:
    if len(question.schema) > _LONGEST_SCHEMA:
        raise CodecSightError(
            f"the question {question.text!r} has a schema of {len(question.schema)} characters; "
            f"{_LONGEST_SCHEMA} are allowed"
        )
    try:
        schema = json.loads(question.schema)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CodecSightError(
            f"the question {question.text!r} has a schema that is no JSON: {error}"
        ) from error
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise CodecSightError(
            f"the question {question.text!r} needs the JSON schema of an object, such as "
            '{"type": "object", "properties": {"people": {"type": "integer"}}}'
        )
