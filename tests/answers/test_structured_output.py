"""Whatever the model would like to say, the answer follows the schema."""

import json
from collections.abc import Callable, Sequence

import pytest
import torch
from pydantic import BaseModel

from codecsight.answers.decoding import decode, greedy_decoding
from codecsight.core.errors import CodecSightError, QuestionError
from codecsight.core.question import Question, QuestionKind
from codecsight.models.families.qwen3_vl import Qwen3VL

SCENE = {
    "type": "object",
    "properties": {
        "people": {"type": "integer", "minimum": 0, "maximum": 9},
        "car": {"enum": ["red", "blue", "none"]},
        "moving": {"type": "boolean"},
    },
    "required": ["people", "car", "moving"],
    "additionalProperties": False,
}
ASKED = Question.with_schema("What is there?", SCENE)


def likes(model: Qwen3VL, text: str) -> Callable[[Sequence[int]], torch.Tensor]:
    """A model that would say `text` over and over, one letter preferred to the next."""

    def extend(_: Sequence[int]) -> torch.Tensor:
        logits = torch.zeros(len(model.tokenizer))
        for rank, letter in enumerate(text):
            logits[model.layout.encode(letter)[0]] = float(len(text) - rank)
        return logits

    return extend


def test_an_answer_is_an_object_of_the_schema(model: Qwen3VL) -> None:
    found = decode(ASKED, model, likes(model, "f7b"), most=64)
    assert found.value == {"people": 7, "car": "blue", "moving": False}
    assert 0 < found.probability < 1


@pytest.mark.parametrize("seed", range(5))
def test_random_models_stay_within_the_schema(model: Qwen3VL, seed: int) -> None:
    class Bag(BaseModel):
        colour: str
        size: int | None

    random = torch.Generator().manual_seed(seed)
    question = Question.with_schema("Which bags?", Bag.model_json_schema())
    width = len(model.tokenizer)
    found = decode(question, model, lambda _: torch.randn(width, generator=random), most=400)
    if isinstance(found.value, dict):
        Bag.model_validate(found.value)
    else:  # still in the middle of a string or a number
        assert str(found.value).startswith('{"colour":"')


def test_what_the_schema_forces_costs_no_pass(model: Qwen3VL) -> None:
    extend, passes = likes(model, "f7b"), []
    decode(ASKED, model, lambda ids: passes.append(list(ids)) or extend(ids), most=64)
    assert len(passes) == 3  # one per choice; all that is between them goes along
    assert model.detokenize(passes[1]) == '7,"car":"'


def test_an_answer_that_is_cut_off_is_given_as_far_as_it_got(model: Qwen3VL) -> None:
    found = decode(ASKED, model, likes(model, "f7b"), most=12)
    assert found.value == '{"people":7,'


def test_a_schema_that_cannot_be_followed_is_refused_by_name(model: Qwen3VL) -> None:
    question = Question.with_schema(
        "What?", {"type": "object", "properties": {"a": {"$ref": "#/b"}}}
    )
    with pytest.raises(QuestionError, match=r"'What\?' has a schema that can't be followed: .*/b"):
        next(greedy_decoding(question, model, most=9))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ('{"type": "integer"}', "needs the JSON schema of an object"),
        ("[]", "needs the JSON schema of an object"),
        ("[" * 9000, "no JSON"),
        ("{" + " " * 20_000 + "}", "16384 are allowed"),
    ],
)
def test_what_is_no_schema_of_an_object_is_refused(schema: str, why: str) -> None:
    with pytest.raises(CodecSightError, match=why):
        Question("What?", QuestionKind.JSON, schema=schema)


def test_a_schema_may_stand_behind_the_question() -> None:
    question = Question.parse(f"What is there? | {json.dumps(SCENE)}")
    assert question == ASKED
