"""A question and the type of answer it expects."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from codecsight.core.errors import CodecSightError

_YES_NO_FIRST_WORDS = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "can", "will"}
)

_CHOICE = re.compile(
    r"""\s*(?:"(?P<double>[^"]*)"\s*(?=,|$)|'(?P<single>[^']*)'\s*(?=,|$)|(?P<plain>[^,]*))(?:,|$)"""
)

_MAX_OPTIONS = 99
_MAX_SCHEMA_LENGTH = 1 << 14


class QuestionKind(StrEnum):
    """Type of answer. YES_NO, COUNT and CHOICE are scored among fixed options; TEXT (free text) and
    JSON (constrained by a JSON schema) are decoded token by token.
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

    Raises CodecSightError for empty text, fewer than two or too many choices, a bound outside
    1..99, or a schema that is not the schema of an object.
    """

    text: str
    kind: QuestionKind
    choices: tuple[str, ...] = ()
    max_count: int = 9
    schema: str = ""

    def __post_init__(self) -> None:
        for text in (self.text, *self.choices, self.schema):
            _check_text(text)
        if not self.text.strip():
            raise CodecSightError("a question has no text")
        if self.kind is QuestionKind.CHOICE and len(self.choices) < 2:
            raise CodecSightError(f"the question {self.text!r} needs at least two choices")
        if repeated := _repeated(self.choices):
            raise CodecSightError(f"the question {self.text!r} has the choice {repeated!r} twice")
        if len(self.choices) > _MAX_OPTIONS:
            raise CodecSightError(
                f"the question {self.text!r} has {len(self.choices)} choices; "
                f"at most {_MAX_OPTIONS} are allowed"
            )
        if not 1 <= self.max_count <= _MAX_OPTIONS:
            raise CodecSightError(
                f"the question {self.text!r} has the maximum count {self.max_count}; "
                f"it must be from 1 to {_MAX_OPTIONS}"
            )
        if self.kind is QuestionKind.JSON:
            _check_schema(self)

    @property
    def free_form(self) -> bool:
        """Whether the answer is decoded token by token instead of scored among options."""
        return self.kind in (QuestionKind.TEXT, QuestionKind.JSON)

    @property
    def options(self) -> tuple[str, ...]:
        """Options to score; empty for a free-form question."""
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
        """A question answered by an object that follows a JSON schema, such as a pydantic model's
        `model_json_schema()`.
        """
        return Question(text.strip(), QuestionKind.JSON, schema=json.dumps(schema))

    @staticmethod
    def parse(text: str) -> "Question":
        """Infer the kind from the wording.

        "Is there ..." is YES_NO, "How many ..." is COUNT. A list after `|` makes a CHOICE ("What
        colour is the car? | red, blue"; a choice with a comma stands in quotes), a JSON schema
        after `|` makes a JSON question ('What is there? | {"type": "object", ...}'). Anything else
        is TEXT.
        """
        if "|" in text:
            question, listed = text.split("|", 1)
            if listed.lstrip().startswith("{"):
                return Question(question.strip(), QuestionKind.JSON, schema=listed.strip())
            return Question(question.strip(), QuestionKind.CHOICE, _split_choices(listed, text))
        words = text.lower().split()
        if words[:2] == ["how", "many"]:
            return Question(text.strip(), QuestionKind.COUNT)
        if words and words[0] in _YES_NO_FIRST_WORDS:
            return Question(text.strip(), QuestionKind.YES_NO)
        return Question(text.strip(), QuestionKind.TEXT)


def _split_choices(listed: str, question: str) -> tuple[str, ...]:
    """The choices of a list separated by commas; one in double or single quotes may have commas.

    Empty ones are left out. Raises CodecSightError if a double quote is not closed.
    """
    choices = []
    for match in _CHOICE.finditer(listed):
        choice = (match["double"] or match["single"] or match["plain"] or "").strip()
        if choice.startswith('"'):
            raise CodecSightError(
                f"the question {question!r} has a choice whose quote is not closed: {choice}"
            )
        if choice:
            choices.append(choice)
    return tuple(choices)


def _check_text(text: str) -> None:
    """Raise CodecSightError if the text came from bytes that aren't UTF-8, as in an argument."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CodecSightError(
            f"the question {text!r} is not UTF-8 text: set the terminal, or the script that "
            "calls, to UTF-8"
        ) from error


def _repeated(choices: tuple[str, ...]) -> str:
    """The first choice that an earlier one equals but for case and blanks; empty if none does."""
    seen: set[str] = set()
    for choice in choices:
        if (plain := " ".join(choice.casefold().split())) in seen:
            return choice
        seen.add(plain)
    return ""


def _check_schema(question: Question) -> None:
    if len(question.schema) > _MAX_SCHEMA_LENGTH:
        raise CodecSightError(
            f"the question {question.text!r} has a schema of {len(question.schema)} characters; "
            f"at most {_MAX_SCHEMA_LENGTH} are allowed"
        )
    try:
        schema = json.loads(question.schema)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CodecSightError(
            f"the question {question.text!r} has a schema that is not valid JSON: {error}"
        ) from error
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise CodecSightError(
            f"the question {question.text!r} needs the JSON schema of an object, such as "
            '{"type": "object", "properties": {"people": {"type": "integer"}}}'
        )
