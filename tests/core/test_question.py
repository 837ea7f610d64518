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
def test_the_wording_tells_the_kind(text: str, kind: QuestionKind) -> None:
    assert Question.parse(text).kind is kind


def test_choices_are_what_is_listed() -> None:
    question = Question.parse("Which way? | left,  right, ")
    assert (question.text, question.options) == ("Which way?", ("left", "right"))


def test_a_count_goes_from_none_to_most() -> None:
    assert Question("How many?", QuestionKind.COUNT, max_count=2).options == ("0", "1", "2")


@pytest.mark.parametrize("text", ["", "  ", "Which? | red", "| a, b"])
def test_a_question_without_words_or_choices_is_refused(text: str) -> None:
    with pytest.raises(CodecSightError, match=r"no text|at least two choices"):
        Question.parse(text)


def test_choices_are_bounded() -> None:
    with pytest.raises(CodecSightError, match="at most 99"):
        Question("Which?", QuestionKind.CHOICE, tuple(map(str, range(100))))


@pytest.mark.parametrize("most", [0, -1, 100, 10**9])
def test_a_count_is_bounded(most: int) -> None:
    with pytest.raises(CodecSightError, match="from 1 to 99"):
        Question("How many?", QuestionKind.COUNT, max_count=most)
