"""The engine and the naive engine give the same answers on random schedules, to 1e-4."""

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
from codecsight.models.tiny import random_model

MakeSlot = Callable[..., Slot]

PERSON = Question("Is there a person?", QuestionKind.YES_NO)
COUNT = Question("How many cars?", QuestionKind.COUNT, max_count=11)
DESCRIBE = Question("What is there?", QuestionKind.TEXT)
STREAMS = ("a", "b", "c", "d", "e")

POLICIES: dict[str, dict[str, Any]] = {
    "defaults": {"window": 4, "stride": 2},
    "no refresh": {"window": 3, "stride": 1, "refresh": "none", "query_view": "last-slot"},
    "refresh all": {"window": 4, "stride": 3, "refresh": "all"},
    "re-rotated keys": {"window": 4, "stride": 2, "refresh": "first:1", "query_view": "rerotated"},
    "superseded": {"window": 3, "stride": 1, "eviction": "superseded", "refresh": "drift:1"},
    "superseded, re-rotated": {
        "window": 4,
        "stride": 2,
        "eviction": "superseded",
        "refresh": "none",
        "query_view": "rerotated",
    },
    "rebased positions": {"window": 3, "stride": 1, "rebase_at": 200, "refresh": "none"},
}


def config_of(name: str, **more: Any) -> EngineConfig:
    settings = {"max_answer_tokens": 4, **POLICIES[name], **more}
    settings["query_view"] = QueryView(settings.get("query_view", "latest-features"))
    settings["eviction"] = EvictionPolicy(settings.get("eviction", "age"))
    return EngineConfig(**settings)


def assert_same(ours: Answer, theirs: Answer) -> None:
    assert (ours.question, ours.value) == (theirs.question, theirs.value)
    assert ours.probability == pytest.approx(theirs.probability, abs=1e-4)
    assert (ours.start, ours.end, ours.capture_time) == (
        theirs.start,
        theirs.end,
        theirs.capture_time,
    )
    assert (ours.cells_kept, ours.cells_total) == (theirs.cells_kept, theirs.cells_total)


class EnginePair:
    """Both engines with the same calls; the naive one answers at once, the other by steps."""

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
        expected = self.naive.push(stream, slot)
        is_due = expected.stride_complete and questions
        answers = self.naive.ask_all(stream, questions) if is_due else []
        self.due[ticket] = (expected, answers)

    def ask(self, stream: str, questions: list[Question]) -> None:
        ticket = self.engine.submit_questions(stream, questions)
        self.due[ticket] = (None, self.naive.ask_all(stream, questions))

    def step(self) -> None:
        for result in self.engine.step():
            expected, answers = self.due.pop(result.ticket)
            assert result.error is None
            if expected is not None:
                assert result.slot_result is not None
                for field in (
                    "slots",
                    "prefilled",
                    "refreshed",
                    "evicted",
                    "rebased",
                    "stride_complete",
                ):
                    assert getattr(result.slot_result, field) == getattr(expected, field)
            for ours, theirs in zip(result.answers, answers, strict=True):
                assert_same(ours, theirs)
                self.checked += 1


@pytest.mark.parametrize("policy", POLICIES)
def test_random_schedules(model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, policy: str) -> None:
    """Streams open, push, ask and close at random; steps are small, so that slots are prefilled
    in chunks between the questions of other streams.
    """
    random = np.random.default_rng(len(policy))
    pair = EnginePair(model, grid, config_of(policy, step_tokens=int(random.choice([40, 90, 400]))))
    clock = dict.fromkeys(STREAMS, -1)
    for _ in range(90):
        stream = str(random.choice(STREAMS))
        if clock[stream] < 0:
            pair.open(stream)
            clock[stream] = 0
        waiting = pair.engine.status().streams[stream].waiting
        match random.choice(["slot", "slot", "slot", "ask", "step", "step", "close"]):
            case "slot" if waiting < 3:
                keep = None if clock[stream] % 5 else 1.0
                slot = slot_at(clock[stream], keep=keep, seed=STREAMS.index(stream))
                pair.slot(stream, slot, [PERSON, COUNT][: random.integers(0, 3)])
                clock[stream] += 1
            case "ask" if clock[stream] > 0:
                pair.ask(stream, [COUNT, DESCRIBE][: random.integers(1, 3)])
            case "close" if not waiting and random.random() < 0.3:
                pair.close(stream)
                clock[stream] = -1
            case "step":
                pair.step()
    while pair.engine.busy:
        pair.step()
    assert not pair.due
    assert pair.checked > 15
    for stream in list(pair.engine.status().streams):
        pair.close(stream)
    assert pair.engine.status().blocks_allocated == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_work_is_counted_the_same(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, policy: str
) -> None:
    """However segments are packed: the same operations, spent and of the dense baselines."""
    config = config_of(policy)
    engine, naive = Engine(model, config), NaiveEngine(model, config)
    for one in (engine, naive):
        one.open("a", grid)
        one.open("b", grid)
    for second in range(7):
        for number, stream in enumerate("ab"):
            slot = slot_at(second, seed=number)
            engine.submit(stream, slot, [PERSON])
            if naive.push(stream, slot).stride_complete:
                naive.ask(stream, PERSON)
        while engine.busy:
            engine.step()
    for stream, status in engine.status().streams.items():
        assert status.work == naive.work(stream)


@pytest.mark.parametrize("view", [QueryView.REROTATED, QueryView.LATEST_FEATURES])
def test_a_later_anchor_costs_only_its_changed_cells(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot, view: QueryView
) -> None:
    config = EngineConfig(window=3, stride=1, query_view=view)
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
    assert_same(engine.ask("a", COUNT), naive.ask("a", COUNT))
    assert engine.status().work == naive.work("a")


def test_a_json_answer_is_the_same(model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot) -> None:
    properties = {"people": {"enum": [0, 1, 2, 3]}, "car": {"enum": ["red", "blue"]}}
    schema = {"type": "object", "properties": properties, "required": ["people", "car"]}
    asked = Question.with_schema("What is there?", {**schema, "additionalProperties": False})
    config = EngineConfig(window=3, stride=1)
    engine, naive = Engine(model, config), NaiveEngine(model, config)
    for one in (engine, naive):
        one.open("a", grid)
        for second in range(5):
            one.push("a", slot_at(second))
    ours, theirs = engine.ask_all("a", [DESCRIBE, asked, COUNT]), naive.ask_all("a", [asked])
    assert_same(ours[1], theirs[0])
    assert isinstance(ours[1].value, dict)
    assert ours[1].value.keys() == {"people", "car"}


def test_with_one_layer_rerotated_keys_equal_a_prefilled_slot(
    grid: PatchGrid, slot_at: MakeSlot
) -> None:
    """Keys of the first layer depend on their own cell and position only, so re-rotating them is
    the same as prefilling them at the new position.
    """
    model = random_model(seed=5, text_num_hidden_layers=1)
    probabilities = {}
    for view in (QueryView.REROTATED, QueryView.LATEST_FEATURES, QueryView.LAST_SLOT):
        config = EngineConfig(window=4, stride=1, refresh="none", query_view=view)
        engine = Engine(model, config)
        engine.open("a", grid)
        for second in range(7):  # the anchor is evicted: some cells have no token
            engine.push("a", slot_at(second, keep=0.2 if second else 1.0))
        probabilities[view] = engine.ask("a", COUNT).probability
    assert probabilities[QueryView.REROTATED] == pytest.approx(
        probabilities[QueryView.LATEST_FEATURES], abs=1e-5
    )
    assert probabilities[QueryView.LAST_SLOT] != pytest.approx(
        probabilities[QueryView.LATEST_FEATURES], abs=1e-3
    )
