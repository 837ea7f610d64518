"""Every answer of a batch of streams as JSON values, and back.

A batch is `{"setting", "streams", "variants"}`. A stream lists its questions and its windows with
the true answers (None where people could disagree). A variant holds `answers`
[stream][window][question], in the order of these lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.accuracy.evaluation import Answers
from benchmarks.accuracy.footage import Footage, Window
from benchmarks.accuracy.scoring.scores import Labelled
from benchmarks.accuracy.variants import Variant
from codecsight.core.question import Question, QuestionKind


@dataclass(frozen=True, slots=True)
class LabelledStream:
    """A stream's windows with their true answers, and its questions with their topics."""

    url: str
    windows: Sequence[Window]
    questions: Mapping[Question, str]
    conditions: tuple[str, ...]


def to_json(footages: Sequence[Footage], answers: Mapping[Variant, Answers]) -> dict[str, Any]:
    """Return a batch as JSON values, the dense variant first."""
    return {
        "setting": footages[0].stream.setting.name,
        "streams": [_stream_json(each) for each in footages],
        "variants": [
            {
                "change": variant.change,
                "kv": variant.kv,
                "answers": [_answers_json(each, given) for each in footages],
            }
            for variant, given in answers.items()
        ],
    }


def from_json(
    batch: Mapping[str, Any],
) -> tuple[list[LabelledStream], dict[tuple[str, str], Answers]]:
    """Return the streams of a batch, and the answers by change policy and KV policy."""
    streams = [_stream(each) for each in batch["streams"]]
    variants = {(each["change"], each["kv"]): each["answers"] for each in batch["variants"]}
    return streams, {name: _answers(streams, given) for name, given in variants.items()}


def _stream_json(footage: Footage) -> dict[str, Any]:
    questions = footage.questions.items()
    return {
        "url": footage.url,
        "conditions": list(footage.stream.conditions),
        "questions": [{**asdict(question), "topic": topic} for question, topic in questions],
        "windows": [
            {
                "index": window.index,
                "content": window.content,
                "true": [window.answers.get(question) for question in footage.questions],
            }
            for window in footage.windows
        ],
    }


def _answers_json(stream: Labelled, given: Answers) -> list[list[str]]:
    windows = [given.answers[stream.url, window.index] for window in stream.windows]
    return [[answers[question] for question in stream.questions] for answers in windows]


def _stream(content: Mapping[str, Any]) -> LabelledStream:
    questions = {_question(each): str(each["topic"]) for each in content["questions"]}
    windows = [_window(each, list(questions)) for each in content["windows"]]
    return LabelledStream(content["url"], windows, questions, tuple(content["conditions"]))


def _question(content: Mapping[str, Any]) -> Question:
    fields = {name: value for name, value in content.items() if name != "topic"}
    kind, choices = QuestionKind(fields.pop("kind")), tuple(fields.pop("choices"))
    return Question(kind=kind, choices=choices, **fields)


def _window(content: Mapping[str, Any], questions: Sequence[Question]) -> Window:
    pairs = zip(questions, content["true"], strict=True)
    true = {question: answer for question, answer in pairs if answer is not None}
    return Window(content["index"], true, content["content"])


def _answers(streams: Sequence[LabelledStream], given: list[list[list[str]]]) -> Answers:
    answers = Answers()
    for stream, windows in zip(streams, given, strict=True):
        for window, values in zip(stream.windows, windows, strict=True):
            answers.add_window((stream.url, window.index), stream.questions, values)
    return answers
