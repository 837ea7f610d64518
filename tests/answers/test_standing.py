"""Standing questions are asked when a stride is complete."""

import dataclasses

import numpy as np

from codecsight.answers.standing import StandingQuestions
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.request import ignore_tokens
from codecsight.models.families.qwen3_vl import Qwen3VL

PERSON = Question("Is there a person?", QuestionKind.YES_NO)
CARS = Question("How many cars?", QuestionKind.COUNT)


def test_standing_questions_are_asked_when_the_window_moves(model: Qwen3VL) -> None:
    engine = Engine(model, EngineConfig(window=4, stride=2))
    engine.open("gate", PatchGrid(model.grid_spec(2.0, 4), 2, 2))
    standing = StandingQuestions()
    standing.set("gate", [PERSON, CARS])
    patches = np.zeros((4, 2, 3, model.cell, model.cell), np.uint8)
    slot = Slot(SlotKind.ANCHOR, np.ones((2, 2), np.bool_), patches, np.ones(4), (0.0, 0.5), 0.0)
    asked = []
    for second in range(5):
        outcome = engine.push("gate", dataclasses.replace(slot, times=(second, second + 0.5)))
        answers = standing.answer(engine, outcome, ignore_tokens)
        asked.append([answer.question for answer in answers])
    assert asked == [[], [PERSON.text, CARS.text], [], [PERSON.text, CARS.text], []]


def test_each_stream_has_its_own_questions_which_can_be_replaced() -> None:
    standing = StandingQuestions()
    standing.set("gate", [PERSON])
    standing.set("yard", [CARS])
    assert standing.of("gate") == (PERSON,)
    standing.set("gate", [CARS, PERSON])
    assert standing.of("gate") == (CARS, PERSON)
    standing.set("gate", [])
    assert standing.of("gate") == ()
    assert standing.of("nowhere") == ()
