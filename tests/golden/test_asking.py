"""Questions: one pass over all options equals one pass per token, and leaves no state behind."""

from typing import Any

import numpy as np
import pytest
import torch

from codecsight.core.question import Question, QuestionKind
from codecsight.engine import Engine, EngineConfig, QueryView

YES_NO = Question("Is there a person?", QuestionKind.YES_NO)
COUNT = Question("How many cars?", QuestionKind.COUNT, max_count=11)
COLOUR = Question("What colour is the car?", QuestionKind.CHOICE, ("red", "blue", "dark blue"))
TEXT = Question("What do you see?", QuestionKind.TEXT)


@pytest.fixture
def stream(make_stream: Any) -> list[Any]:
    return make_stream(4, keep=0.5)


@pytest.fixture(params=[QueryView.LAST_SLOT, QueryView.LATEST_FEATURES])
def engine(request: pytest.FixtureRequest, model: Any, grid: Any, stream: list[Any]) -> Engine:
    engine = Engine(
        model,
        EngineConfig(
            window=8,
            query_view=request.param,
            vision_kv_cache=False,
            neighbour_radius=0,
            max_answer_tokens=6,
        ),
    )
    engine.open("gate", grid)
    for unpruned in stream:
        engine.push("gate", unpruned.slot(grid.spec.cell))
    return engine


def option_probabilities(
    reference: Any, stream: list[Any], question: Question, *, latest: bool
) -> list[float]:
    """Probabilities of the options, with one forward pass for each token of each spelling."""
    ends = question is COUNT  # "1" is a prefix of "10" and "11", so the end token is scored
    scores = []
    for option in question.options:
        cased = {option, option.capitalize()} if question.kind is QuestionKind.YES_NO else {option}
        parts = []
        for text in cased:
            ids = reference.model.tokenizer(text)["input_ids"]
            total = torch.tensor(0.0)
            for index, token in enumerate([*ids, reference.model.eos_token_id][: len(ids) + ends]):
                logits = reference.logits(stream, question.text, ids[:index], latest=latest)
                total += logits.log_softmax(-1)[token]
            parts.append(total)
        scores.append(torch.stack(parts).logsumexp(0))
    temperature = reference.model.calibration.of(question.kind)
    return (torch.stack(scores) / temperature).softmax(0).tolist()


@pytest.mark.parametrize("question", [YES_NO, COUNT, COLOUR], ids=lambda q: q.kind)
def test_options_in_one_pass_have_the_probabilities_of_separate_passes(
    engine: Engine, reference: Any, stream: list[Any], question: Question
) -> None:
    answer = engine.ask("gate", question)
    latest = engine.config.query_view is QueryView.LATEST_FEATURES
    probabilities = option_probabilities(reference, stream, question, latest=latest)
    best = probabilities.index(max(probabilities))
    expected = {"yes": True, "no": False}.get(question.options[best], question.options[best])
    assert str(answer.value) == str(expected)
    assert answer.probability == pytest.approx(max(probabilities), abs=1e-4)


def test_questions_in_one_pass_have_the_answers_of_separate_passes(engine: Engine) -> None:
    questions = [YES_NO, TEXT, COUNT, COLOUR]
    together = engine.ask_all("gate", questions)
    for question, answer in zip(questions, together, strict=True):
        alone = engine.ask("gate", question)
        assert answer.question == question.text
        assert answer.value == alone.value
        assert answer.probability == pytest.approx(alone.probability, abs=1e-5)


def test_free_text_equals_greedy_decoding_of_the_reference(
    engine: Engine, reference: Any, stream: list[Any]
) -> None:
    latest = engine.config.query_view is QueryView.LATEST_FEATURES
    decoded: list[int] = []
    probabilities = []
    while len(decoded) < engine.config.max_answer_tokens:
        logits = reference.logits(stream, TEXT.text, decoded, latest=latest)
        probabilities.append(float(logits.softmax(-1).max()))
        if reference.model.is_eos(int(logits.argmax())):
            break
        decoded.append(int(logits.argmax()))
    answer = engine.ask("gate", TEXT)
    assert answer.value == reference.model.detokenize(decoded)
    assert answer.probability == pytest.approx(sum(probabilities) / len(probabilities), abs=1e-4)


def test_questions_change_neither_the_window_nor_its_kv(engine: Engine) -> None:
    session = engine._sessions["gate"]
    indices, position = session.paged.kv_indices.copy(), session.window.next_rotary_position
    keys, values = (store[:, indices].clone() for store in (engine._pool.keys, engine._pool.values))
    first = engine.ask_all("gate", [YES_NO, COUNT, TEXT])
    second = engine.ask_all("gate", [YES_NO, COUNT, TEXT])
    assert np.array_equal(indices, session.paged.kv_indices)
    assert torch.equal(keys, engine._pool.keys[:, indices])
    assert torch.equal(values, engine._pool.values[:, indices])
    assert position == session.window.next_rotary_position
    assert [a.probability for a in first] == [a.probability for a in second]
