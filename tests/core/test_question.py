"""Inferring a question's kind from its text, and the limits on choices, counts and schemas."""

import json

import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question, QuestionKind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Is there a person?", QuestionKind.YES_NO),
        ("does anything move", QuestionKind.YES_NO),
        ("How many cars are there?", QuestionKind.COUNT),
        ("How dark is it?", QuestionKind.TEXT),
        ("What do you see?", QuestionKind.TEXT),
        ("What colour is the car? | red, blue", QuestionKind.CHOICE),
    ],
)
def test_the_kind_is_inferred_from_the_wording(text: str, kind: QuestionKind) -> None:
    assert Question.parse(text).kind is kind


def test_choices_are_listed_after_a_bar() -> None:
    question = Question.parse("Which way? | left,  right, ")
    assert (question.text, question.options) == ("Which way?", ("left", "right"))


@pytest.mark.parametrize(
    ("listed", "choices"),
    [
        ('"yes, sir", no', ("yes, sir", "no")),
        ("'yes, sir', 'no, sir'", ("yes, sir", "no, sir")),
        ('"red | blue" , green,', ("red | blue", "green")),
        ("don't know, it's red", ("don't know", "it's red")),
        ("'tis, none", ("'tis", "none")),
        ('a 5" pipe, a 6" pipe', ('a 5" pipe', 'a 6" pipe')),
        ('"it\'s red", "", none', ("it's red", "none")),
        ("'say \"go, go\"', stop", ('say "go, go"', "stop")),
    ],
)
def test_a_choice_with_a_comma_stands_in_quotes(listed: str, choices: tuple[str, ...]) -> None:
    assert Question.parse(f"Which? | {listed}").choices == choices


def test_a_quote_that_is_not_closed_is_rejected() -> None:
    with pytest.raises(CodecSightError, match=r"quote is not closed: \"yes"):
        Question.parse('Which? | "yes, sir, no')


@pytest.mark.parametrize("text", ["Is it \udce4 cat?", "Which? | a, \udcff", 'W? | {"\udcff": 1}'])
def test_a_question_that_is_not_utf_8_is_rejected(text: str) -> None:
    with pytest.raises(CodecSightError, match=r"\\udc.. ?.* is not UTF-8 text") as caught:
        Question.parse(text)
    assert str(caught.value).isascii()


def test_a_schema_is_read_after_a_bar() -> None:
    schema = {"type": "object", "properties": {"people": {"type": "integer"}}}
    question = Question.parse(f"What is there? | {json.dumps(schema)}")
    assert question == Question.with_schema("What is there?", schema)


def test_a_count_has_options_from_zero_to_its_maximum() -> None:
    assert Question("How many?", QuestionKind.COUNT, max_count=2).options == ("0", "1", "2")


@pytest.mark.parametrize("text", ["", "  ", "Which? | red", "| a, b"])
def test_a_question_without_text_or_choices_is_rejected(text: str) -> None:
    with pytest.raises(CodecSightError, match=r"no text|at least two choices"):
        Question.parse(text)


def test_more_than_99_choices_are_rejected() -> None:
    with pytest.raises(CodecSightError, match="at most 99"):
        Question("Which?", QuestionKind.CHOICE, tuple(map(str, range(100))))


@pytest.mark.parametrize("max_count", [0, -1, 100, 10**9])
def test_a_maximum_count_outside_1_to_99_is_rejected(max_count: int) -> None:
    with pytest.raises(CodecSightError, match="from 1 to 99"):
        Question("How many?", QuestionKind.COUNT, max_count=max_count)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"type": "integer"}', "needs the JSON schema of an object"),
        ("[]", "needs the JSON schema of an object"),
        ("[" * 9000, "not valid JSON"),
        ("{" + " " * 20_000 + "}", "16384 are allowed"),
    ],
)
def test_text_that_is_not_the_schema_of_an_object_is_rejected(schema: str, message: str) -> None:
    with pytest.raises(CodecSightError, match=message):
        Question("What?", QuestionKind.JSON, schema=schema)
