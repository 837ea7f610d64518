import gc
from collections.abc import Callable

import pytest
import torch

from codecsight.answers.scoring import build_option_tree
from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import AdmissionRefused, Engine, EngineError, SlotRefused
from codecsight.models.families.qwen3_vl import Qwen3VL

MakeEngine = Callable[..., Engine]
MakeSlot = Callable[..., Slot]

PERSON = Question("Is there a person?", QuestionKind.YES_NO)
DESCRIBE = Question("What is there?", QuestionKind.TEXT)


def test_streams_are_admitted_until_all_blocks_are_reserved(
    engine_with: MakeEngine, grid: PatchGrid
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    cost = engine.status().blocks_reserved
    engine = engine_with(kv_blocks=2 * cost + 1)
    engine.open("a", grid)
    engine.open("b", grid)
    with pytest.raises(
        AdmissionRefused, match=f"needs {cost} KV blocks and 1 are free"
    ) as rejected:
        engine.open("c", grid)
    assert (rejected.value.needed, rejected.value.free) == (cost, 1)
    engine.close("a")
    engine.open("c", grid)
    assert set(engine.status().streams) == {"b", "c"}


def test_reserved_blocks_suffice_for_a_window_in_which_nothing_is_pruned(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(window=3, stride=1, query_view="last-slot")
    engine.open("a", grid)
    for second in range(8):
        engine.push("a", slot_at(second, keep=1.0))
    stream = engine.status().streams["a"]
    assert stream.slots == 3
    assert stream.blocks_reserved >= stream.blocks_allocated > stream.blocks_reserved * 0.6


def test_a_stream_cannot_be_opened_twice_or_asked_before_it_has_slots(
    engine_with: MakeEngine, grid: PatchGrid
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    with pytest.raises(EngineError, match="'a' is open already"):
        engine.open("a", grid)
    with pytest.raises(EngineError, match="'b' is not open"):
        engine.ask("b", PERSON)
    with pytest.raises(EngineError, match="'a' has no slots yet"):
        engine.ask("a", PERSON)


def test_a_grid_of_another_model_is_rejected(engine_with: MakeEngine, model: Qwen3VL) -> None:
    spec = model.grid_spec(2.0, 48)
    other = type(spec)(cell=spec.cell * 2, frames=spec.frames, rate=2.0, max_cells=48)
    with pytest.raises(EngineError, match="reads cells of 16 px"):
        engine_with().open("a", PatchGrid(other, 3, 4))
    with pytest.raises(EngineError, match="48 are allowed"):
        engine_with().open("a", PatchGrid(spec, 7, 7))


def test_the_first_slot_must_be_an_anchor_also_after_a_reset(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    assert engine.needs_anchor("a")
    with pytest.raises(SlotRefused, match="stream 'a': its first slot must be an anchor"):
        engine.push("a", slot_at(1))
    engine.push("a", slot_at(0))
    assert not engine.needs_anchor("a")
    engine.push("a", slot_at(1))
    engine.reset("a")
    assert engine.needs_anchor("a")
    assert engine.status().streams["a"].tokens == 0


def test_a_reset_stream_behaves_like_a_new_one(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine, new = engine_with(), engine_with()
    for one in (engine, new):
        one.open("a", grid)
    for second in range(5):
        engine.push("a", slot_at(second, seed=7))
    engine.reset("a")
    for one in (engine, new):
        for second in range(3):
            one.push("a", slot_at(second))
    assert engine.ask("a", PERSON).probability == new.ask("a", PERSON).probability


def test_interleaved_streams_give_exactly_the_answers_of_each_alone(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    config = {"window": 4, "stride": 2, "refresh": "first:1", "max_answer_tokens": 4}

    def watch(streams: list[str]) -> dict[str, list[object]]:
        engine, answers_of = engine_with(**config), {}
        for stream in streams:
            engine.open(stream, grid)
        for second in range(10):
            for stream in streams:
                seed = {"a": 1, "b": 2, "c": 3}[stream]
                engine.push(stream, slot_at(second, seed=seed))
                answers = engine.ask_all(stream, [PERSON, DESCRIBE])
                answers_of.setdefault(stream, []).extend((a.value, a.probability) for a in answers)
        return answers_of

    together = watch(["a", "b", "c"])
    assert together["a"] == watch(["a"])["a"]
    assert together["b"] == watch(["b"])["b"]
    assert together["a"] != together["b"]


def test_questions_between_slots_change_no_later_answer(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    asked_often, asked_once = engine_with(window=3, stride=1), engine_with(window=3, stride=1)
    for engine in (asked_often, asked_once):
        engine.open("a", grid)
    for second in range(6):
        asked_often.push("a", slot_at(second))
        answer = asked_often.ask("a", PERSON)
        asked_once.push("a", slot_at(second))
    assert asked_once.ask("a", PERSON).probability == answer.probability


def test_the_work_of_a_closed_stream_still_counts(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    engine.push("a", slot_at(0))
    engine.ask("a", PERSON)
    work = engine.status().work
    engine.close("a")
    assert engine.status().work == work
    assert work.spent.vit > 0
    assert engine.status().blocks_reserved == 0


def test_an_answer_contains_its_time_span_and_cells(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(window=3, stride=1)
    engine.open("a", grid)
    for second in range(5):
        engine.push("a", slot_at(second))
    answer = engine.ask("a", PERSON)
    assert (answer.stream, answer.question) == ("a", PERSON.text)
    assert isinstance(answer.value, bool)
    assert 0.5 <= answer.probability <= 1
    assert (answer.start, answer.end, answer.capture_time) == (2.0, 4.5, 1_000_004.0)
    assert answer.cells_kept == sum(slot_at(second).kept_count for second in (2, 3, 4))
    assert answer.cells_total == 3 * 12
    assert answer.latency_ms > 0


def test_too_long_a_question_is_rejected_and_changes_nothing(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(max_question_tokens=64)
    engine.open("a", grid)
    engine.push("a", slot_at(0))
    with pytest.raises(EngineError, match="64 are allowed"):
        engine.ask("a", Question("Is it " + "very " * 50 + "dark?", QuestionKind.YES_NO))
    assert engine.ask("a", PERSON).probability > 0


def test_questions_too_long_for_one_pass_are_split(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    questions = [Question(f"Is door {n} open?", QuestionKind.YES_NO) for n in range(9)]
    narrow, wide = engine_with(max_question_tokens=100), engine_with()
    for engine in (narrow, wide):
        engine.open("a", grid)
        engine.push("a", slot_at(0))
    for one, other in zip(
        narrow.ask_all("a", questions), wide.ask_all("a", questions), strict=True
    ):
        assert one.question == other.question
        assert one.probability == pytest.approx(other.probability, abs=1e-5)


def test_ten_questions_cost_ten_short_forks_and_no_prefill(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_with(window=4, stride=1)
    engine.open("a", grid)
    for second in range(6):
        engine.push("a", slot_at(second))
    questions = [Question(f"Is door {n} open?", QuestionKind.YES_NO) for n in range(10)]
    engine.ask("a", PERSON)  # builds the query context, once for all questions
    window, forward, sizes = engine.status().streams["a"].tokens, engine.model.forward_packed, []

    def recorded(tokens, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        sizes.append(len(tokens))
        return forward(tokens, *rest)

    monkeypatch.setattr(engine.model, "forward_packed", recorded)
    engine.ask_all("a", questions)
    asked = [len(build_option_tree([question], engine.model).tree) for question in questions]
    shared_start = len(engine.model.layout.encode("Is door "))
    assert sum(sizes) <= sum(asked) - 9 * shared_start
    assert max(asked) < window / 2  # short, compared with the window that all attend to
    assert engine.status().streams["a"].tokens == window


def test_memory_stays_constant_over_three_hundred_slots(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    def held() -> int:
        session = engine._sessions["a"]
        seen = {}
        for features in (
            session.latest_features.features,
            *(e.features for e in session.window.entries),
        ):
            seen |= {id(t): t for t in (features.embeddings, features.deepstack)}
        return sum(t.untyped_storage().nbytes() for t in seen.values())

    def live() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    engine = engine_with(window=4, stride=2, rebase_at=1000)
    engine.open("a", grid)
    rebased = 0
    for second in range(300):
        rebased += engine.push("a", slot_at(second)).rebased
        if second % 10 == 0:
            engine.ask("a", PERSON)
        if second == 20:
            bytes_early, live_early = held(), live()
    assert rebased > 3
    assert held() < 2 * bytes_early
    assert live() < live_early + 50


def test_a_slot_that_cannot_be_placed_resets_only_its_stream(
    engine_with: MakeEngine,
    grid: PatchGrid,
    slot_at: MakeSlot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = engine_with()
    for stream in ("a", "b"):
        engine.open(stream, grid)
        engine.push(stream, slot_at(0, keep=1.0))

    def fail(_entry: object) -> None:
        raise RuntimeError("the window is broken")

    with monkeypatch.context() as patch:
        patch.setattr(engine._sessions["a"].paged, "place", fail)
        tickets = {stream: engine.submit(stream, slot_at(1)) for stream in ("a", "b")}
        results = {result.ticket: result for result in engine.step()}
    assert "the window is broken" in str(results[tickets["a"]].error)
    assert results[tickets["b"]].slot_result is not None
    assert not engine.busy
    assert engine.needs_anchor("a")
    assert not engine.needs_anchor("b")
