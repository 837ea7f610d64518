"""Questions: many options in one pass say what one pass per token says, and leave no trace."""

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
def looks(film: Any) -> list[Any]:
    return film(4, keep=0.5)


@pytest.fixture(params=[QueryView.LAST_SLOT, QueryView.LATEST_FEATURES])
def engine(request: pytest.FixtureRequest, model: Any, grid: Any, looks: list[Any]) -> Engine:
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
    for look in looks:
        engine.push("gate", look.slot(grid.spec.cell))
    return engine


def one_by_one(twin: Any, looks: list[Any], question: Question, canvas: bool) -> list[float]:
    """Chances of the options, each token of each spelling from a forward pass of its own."""
    ends = question is COUNT  # "1" is the beginning of "10" and "11"
    scores = []
    for option in question.options:
        cased = {option, option.capitalize()} if question.kind is QuestionKind.YES_NO else {option}
        parts = []
        for text in cased:
            ids = twin.model.tokenizer(text)["input_ids"]
            total = torch.tensor(0.0)
            for index, token in enumerate([*ids, twin.model.eos_token_id][: len(ids) + ends]):
                logits = twin.logits(looks, question.text, ids[:index], canvas=canvas)
                total += logits.log_softmax(-1)[token]
            parts.append(total)
        scores.append(torch.stack(parts).logsumexp(0))
    temperature = twin.model.calibration.of(question.kind)
    return (torch.stack(scores) / temperature).softmax(0).tolist()


@pytest.mark.parametrize("question", [YES_NO, COUNT, COLOUR], ids=lambda q: q.kind)
def test_options_in_one_pass_score_as_one_by_one(
    engine: Engine, twin: Any, looks: list[Any], question: Question
) -> None:
    answer = engine.ask("gate", question)
    chances = one_by_one(
        twin, looks, question, engine.config.query_view is QueryView.LATEST_FEATURES
    )
    best = chances.index(max(chances))
    said = {"yes": True, "no": False}.get(question.options[best], question.options[best])
    assert str(answer.value) == str(said)
    assert answer.probability == pytest.approx(max(chances), abs=1e-4)


def test_questions_in_one_pass_are_answered_as_alone(engine: Engine) -> None:
    questions = [YES_NO, TEXT, COUNT, COLOUR]
    together = engine.ask_all("gate", questions)
    for question, answer in zip(questions, together, strict=True):
        alone = engine.ask("gate", question)
        assert answer.question == question.text
        assert answer.value == alone.value
        assert answer.probability == pytest.approx(alone.probability, abs=1e-5)


def test_free_text_is_what_greedy_decoding_says(
    engine: Engine, twin: Any, looks: list[Any]
) -> None:
    canvas = engine.config.query_view is QueryView.LATEST_FEATURES
    said: list[int] = []
    chances = []
    while len(said) < engine.config.max_answer_tokens:
        logits = twin.logits(looks, TEXT.text, said, canvas=canvas)
        chances.append(float(logits.softmax(-1).max()))
        if twin.model.is_eos(int(logits.argmax())):
            break
        said.append(int(logits.argmax()))
    answer = engine.ask("gate", TEXT)
    assert answer.value == twin.model.detokenize(said)
    assert answer.probability == pytest.approx(sum(chances) / len(chances), abs=1e-4)


def test_questions_leave_no_trace(engine: Engine) -> None:
    session = engine._sessions["gate"]
    rows, position = session.kv_indices.copy(), session.window.next_position
    keys, values = (store[:, rows].clone() for store in (engine._pool.keys, engine._pool.values))
    first = engine.ask_all("gate", [YES_NO, COUNT, TEXT])
    second = engine.ask_all("gate", [YES_NO, COUNT, TEXT])
    assert np.array_equal(rows, session.kv_indices)
    assert torch.equal(keys, engine._pool.keys[:, rows])
    assert torch.equal(values, engine._pool.values[:, rows])
    assert position == session.window.next_position
    assert [a.probability for a in first] == [a.probability for a in second]
