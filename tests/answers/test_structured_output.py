"""An answer follows its JSON schema, whatever tokens the model prefers."""

from collections.abc import Callable, Sequence

import pytest
import torch
from pydantic import BaseModel

from codecsight.answers.decoding import decode, greedy_decoding
from codecsight.core.errors import QuestionError
from codecsight.core.question import Question
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
QUESTION = Question.with_schema("What is there?", SCENE)


def prefer(model: Qwen3VL, text: str) -> Callable[[Sequence[int]], torch.Tensor]:
    """Logits that rank the letters of `text` above all other tokens, in order, at every step."""

    def extend(_: Sequence[int]) -> torch.Tensor:
        logits = torch.zeros(len(model.tokenizer))
        for rank, letter in enumerate(text):
            logits[model.layout.encode(letter)[0]] = float(len(text) - rank)
        return logits

    return extend


def test_an_answer_is_an_object_of_the_schema(model: Qwen3VL) -> None:
    answer = decode(QUESTION, model, prefer(model, "f7b"), max_tokens=64)
    assert answer.value == {"people": 7, "car": "blue", "moving": False}
    assert 0 < answer.probability < 1


@pytest.mark.parametrize("seed", range(5))
def test_random_logits_stay_within_the_schema(model: Qwen3VL, seed: int) -> None:
    class Bag(BaseModel):
        colour: str
        size: int | None

    random = torch.Generator().manual_seed(seed)
    question = Question.with_schema("Which bags?", Bag.model_json_schema())
    width = len(model.tokenizer)
    answer = decode(question, model, lambda _: torch.randn(width, generator=random), max_tokens=400)
    if isinstance(answer.value, dict):
        Bag.model_validate(answer.value)
    else:  # cut off in a string or a number
        assert str(answer.value).startswith('{"colour":"')


def test_forced_tokens_need_no_forward_pass(model: Qwen3VL) -> None:
    extend, passes = prefer(model, "f7b"), []
    decode(QUESTION, model, lambda ids: passes.append(list(ids)) or extend(ids), max_tokens=64)
    assert len(passes) == 3  # one per choice; the text between them is forced
    assert model.detokenize(passes[1]) == '7,"car":"'


def test_an_answer_that_is_cut_off_is_returned_as_text(model: Qwen3VL) -> None:
    answer = decode(QUESTION, model, prefer(model, "f7b"), max_tokens=12)
    assert answer.value == '{"people":7,'


def test_a_schema_that_cannot_be_compiled_is_rejected_with_the_question(model: Qwen3VL) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/b"}}}
    question = Question.with_schema("What?", schema)
    with pytest.raises(QuestionError, match=r"'What\?' has a schema that can't be compiled: .*/b"):
        next(greedy_decoding(question, model, max_tokens=9))
