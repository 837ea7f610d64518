"""The engine and its naive twin give the same answers on random schedules, to 1e-4."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from codecsight.core.answer import Answer
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import Engine, EngineConfig, EvictionPolicy, QueryView
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.models.families.qwen3_vl import Qwen3VL

MakeSlot = Callable[..., Slot]

PERSON = Question("Is there a person?", QuestionKind.YES_NO)
COUNT = Question("How many cars?", QuestionKind.COUNT, max_count=11)
SEEN = Question("What is there?", QuestionKind.TEXT)
STREAMS = ("a", "b", "c", "d", "e")

POLICIES: dict[str, dict[str, Any]] = {
    "as it comes": {"window": 4, "stride": 2},
    "nothing refreshed": {"window": 3, "stride": 1, "refresh": "none", "query_view": "last-slot"},
    "everything refreshed": {"window": 4, "stride": 3, "refresh": "all"},
    "re-timed keys": {"window": 4, "stride": 2, "refresh": "first:1", "query_view": "rerotated"},
    "superseded": {"window": 3, "stride": 1, "eviction": "superseded", "refresh": "drift:1"},
    "superseded, re-timed": {
        "window": 4,
        "stride": 2,
        "eviction": "superseded",
        "refresh": "none",
        "query_view": "rerotated",
    },
    "positions that begin anew": {"window": 3, "stride": 1, "rebase_at": 200, "refresh": "none"},
}


def config_of(name: str, **more: Any) -> EngineConfig:
    settings = {"max_answer_tokens": 4, **POLICIES[name], **more}
    settings["query_view"] = QueryView(settings.get("query_view", "latest-features"))
    settings["eviction"] = EvictionPolicy(settings.get("eviction", "age"))
    return EngineConfig(**settings)


def same(ours: Answer, theirs: Answer) -> None:
    assert (ours.question, ours.value) == (theirs.question, theirs.value)
    assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)
    assert (ours.start, ours.end, ours.capture_time) == (
        theirs.start,
        theirs.end,
        theirs.capture_time,
    )
    assert (ours.cells_kept, ours.cells_total) == (theirs.cells_kept, theirs.cells_total)


class Both:
    """The same things told to both; the engine may take its time, the twin answers at once."""

    def __init__(self, model: Qwen3VL, grid: PatchGrid, config: EngineConfig) -> None:
        self.engine, self.naive = Engine(model, config), NaiveEngine(model, config)
        self.grid, self.due = grid, {}
        self.checked = 0

    def open(self, stream: str) -> None:
        self.engine.open(stream, self.grid)
        self.naive.open(stream, self.grid)

    def close(self, stream: str) -> None:
        self.engine.close(stream)
        self.naive.close(stream)

    def slot(self, stream: str, slot: Slot, questions: list[Question]) -> None:
        ticket = self.engine.submit(stream, slot, questions)
        step = self.naive.push(stream, slot)
        answers = self.naive.ask_all(stream, questions) if step.moved and questions else []
        self.due[ticket] = (step, answers)

    def ask(self, stream: str, questions: list[Question]) -> None:
        ticket = self.engine.submit_questions(stream, questions)
        self.due[ticket] = (None, self.naive.ask_all(stream, questions))

    def step(self) -> None:
        for result in self.engine.step():
            step, answers = self.due.pop(result.ticket)
            assert result.error is None
            if step is not None:
                assert result.slot_result is not None
                ours = (
                    result.slot_result.slots,
                    result.slot_result.prefilled,
                    result.slot_result.refreshed,
                )
                assert ours == (step.slots, step.prefilled, step.refreshed)
                found = result.slot_result
                flags = (found.evicted, found.rebased, found.moved)
                assert flags == (step.evicted, step.rebased, step.moved)
            for one, other in zip(result.answers, answers, strict=True):
                same(one, other)
                self.checked += 1


@pytest.mark.parametrize("policy", POLICIES)
def test_random_schedules(model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, policy: str) -> None:
    """Streams come and go, push at their own pace and are asked; steps are cut small, so that
    slots are prefilled in pieces between other streams' questions.
    """
    random = np.random.default_rng(len(policy))
    both = Both(model, grid, config_of(policy, step_tokens=int(random.choice([40, 90, 400]))))
    clock = dict.fromkeys(STREAMS, -1)
    for _ in range(90):
        stream = str(random.choice(STREAMS))
        if clock[stream] < 0:
            both.open(stream)
            clock[stream] = 0
        waiting = both.engine.status().streams[stream].waiting
        match random.choice(["slot", "slot", "slot", "ask", "step", "step", "close"]):
            case "slot" if waiting < 3:
                keep = None if clock[stream] % 5 else 1.0
                slot = slot_at(clock[stream], keep=keep, seed=STREAMS.index(stream))
                both.slot(stream, slot, [PERSON, COUNT][: random.integers(0, 3)])
                clock[stream] += 1
            case "ask" if clock[stream] > 0:
                both.ask(stream, [COUNT, SEEN][: random.integers(1, 3)])
            case "close" if not waiting and random.random() < 0.3:
                both.close(stream)
                clock[stream] = -1
            case "step":
                both.step()
    while both.engine.busy:
        both.step()
    assert not both.due
    assert both.checked > 15
    for stream in list(both.engine.status().streams):
        both.close(stream)
    assert both.engine.status().blocks_allocated == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_work_is_counted_alike(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, policy: str
) -> None:
    """Whatever is packed with whatever: the same operations, for it and its dense twins."""
    config = config_of(policy)
    engine, naive = Engine(model, config), NaiveEngine(model, config)
    for one in (engine, naive):
        one.open("a", grid)
        one.open("b", grid)
    for second in range(7):
        for number, stream in enumerate("ab"):
            slot = slot_at(second, seed=number)
            engine.submit(stream, slot, [PERSON])
            if naive.push(stream, slot).moved:
                naive.ask(stream, PERSON)
        while engine.busy:
            engine.step()
    for stream, status in engine.status().streams.items():
        assert status.work == naive.work(stream)


@pytest.mark.parametrize("present", [QueryView.REROTATED, QueryView.LATEST_FEATURES])
def test_anchors_that_look_as_before_are_encoded_where_they_differ(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, present: QueryView
) -> None:
    config = EngineConfig(window=3, stride=1, query_view=present)
    engine, naive = Engine(model, config), NaiveEngine(model, config)
    first, last = slot_at(0), slot_at(5, keep=1.0)
    patches = first.patches.copy()
    patches[3] = last.patches[3]
    slots = [first, slot_at(1), replace(last, patches=patches)]
    for one in (engine, naive):
        one.open("a", grid)
        steps = [one.push("a", slot) for slot in slots]
        assert 0 < steps[2].work.spent.vit < steps[0].work.spent.vit
        assert steps[2].prefilled == steps[0].prefilled
    same(engine.ask("a", COUNT), naive.ask("a", COUNT))
    assert engine.status().work == naive.work("a")


def test_an_object_is_said_alike(model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot) -> None:
    properties = {"people": {"enum": [0, 1, 2, 3]}, "car": {"enum": ["red", "blue"]}}
    schema = {"type": "object", "properties": properties, "required": ["people", "car"]}
    asked = Question.with_schema("What is there?", {**schema, "additionalProperties": False})
    config = EngineConfig(window=3, stride=1)
    engine, naive = Engine(model, config), NaiveEngine(model, config)
    for one in (engine, naive):
        one.open("a", grid)
        for second in range(5):
            one.push("a", slot_at(second))
    ours, theirs = engine.ask_all("a", [SEEN, asked, COUNT]), naive.ask_all("a", [asked])
    same(ours[1], theirs[0])
    assert isinstance(ours[1].value, dict)
    assert ours[1].value.keys() == {"people", "car"}


def test_with_one_layer_re_timed_keys_are_the_canvas(grid: PatchGrid, slot_at: MakeSlot) -> None:
    """A first layer's keys know nothing but their own cell and place, so that turning them to the
    present is the same as prefilling them there.
    """
    from codecsight.models.tiny import random_model

    model = random_model(seed=5, text_num_hidden_layers=1)
    heard = {}
    for present in (QueryView.REROTATED, QueryView.LATEST_FEATURES, QueryView.LAST_SLOT):
        config = EngineConfig(window=4, stride=1, refresh="none", query_view=present)
        engine = Engine(model, config)
        engine.open("a", grid)
        for second in range(7):  # the anchor leaves the window: some cells are in no slot any more
            engine.push("a", slot_at(second, keep=0.2 if second else 1.0))
        heard[present] = engine.ask("a", COUNT).probability
    assert heard[QueryView.REROTATED] == pytest.approx(heard[QueryView.LATEST_FEATURES], abs=1e-5)
    assert heard[QueryView.LAST_SLOT] != pytest.approx(heard[QueryView.LATEST_FEATURES], abs=1e-3)
