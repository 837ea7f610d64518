import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot, SlotKind
from codecsight.engine import Engine, EngineConfig, EngineError, SlotRefused

MakeEngine = Callable[..., Engine]
MakeSlot = Callable[..., Slot]

PERSON = Question("Is there a person?", QuestionKind.YES_NO)


@pytest.mark.parametrize(
    ("window", "stride", "moved_after", "slots"),
    [
        (4, 2, [2, 4, 6, 8, 10], [1, 2, 3, 4, 3, 4, 3, 4, 3, 4]),
        (3, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3, 3, 3, 3, 3, 3, 3, 3]),
        (5, 3, [2, 5, 8], [1, 2, 3, 4, 5, 3, 4, 5, 3, 4]),
        (2, 2, [2, 4, 6, 8, 10], [1, 2, 1, 2, 1, 2, 1, 2, 1, 2]),
        (1, 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1] * 10),
    ],
)
def test_the_window_moves_by_its_stride(
    engine_with: MakeEngine,
    grid: PatchGrid,
    slot_at: MakeSlot,
    window: int,
    stride: int,
    moved_after: list[int],
    slots: list[int],
) -> None:
    engine = engine_with(window=window, stride=stride)
    engine.open("a", grid)
    steps = [engine.push("a", slot_at(second)) for second in range(10)]
    assert [count for count, step in enumerate(steps, 1) if step.stride_complete] == moved_after
    assert [step.slots for step in steps] == slots


@pytest.mark.parametrize(("resumes_at", "slots"), [(7.0, 3), (12.0, 1)])
def test_an_answer_rests_on_no_slot_from_before_a_hole(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, resumes_at: float, slots: int
) -> None:
    engine = engine_with(window=8, stride=1)
    engine.open("a", grid)
    for second in (4.0, 5.0):
        engine.push("a", slot_at(second, keep=1.0))
    assert engine.push("a", slot_at(resumes_at, keep=1.0)).slots == slots
    answer = engine.ask("a", PERSON)
    assert answer.start == (4.0 if slots > 1 else resumes_at)
    engine.push("a", slot_at(resumes_at + 1))
    assert engine.status().streams["a"].slots == slots + 1


def test_a_slow_camera_fills_its_window(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    """Its first interval may be taken for a hole, those after it not."""
    engine = engine_with(window=4, stride=1)
    engine.open("a", grid)
    steps = [engine.push("a", slot_at(30.0 * n, keep=1.0)).slots for n in range(5)]
    assert steps == [1, 1, 2, 3, 4]


def test_a_slot_result_counts_tokens(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with(window=2, stride=1, refresh="all")
    engine.open("a", grid)
    prefix = len(engine.model.layout.prefix)
    first, second, third = (engine.push("a", slot_at(second)) for second in range(3))
    assert (first.refreshed, first.evicted) == (0, 0)
    assert third.evicted == first.prefilled
    assert third.refreshed == second.prefilled
    assert engine.status().streams["a"].tokens == prefix + second.prefilled + third.prefilled
    assert first.vit_ms > 0
    assert first.prefill_ms > 0


@pytest.mark.parametrize(
    ("policy", "refreshed"),
    [("none", []), ("all", [1, 2, 3]), ("first:2", [1, 2]), ("anchors", [2])],
)
def test_refresh_policies_choose_among_the_remaining_slots(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, policy: str, refreshed: list[int]
) -> None:
    engine = engine_with(window=4, stride=1, refresh=policy)
    engine.open("a", grid)
    slots = [slot_at(0), slot_at(1), slot_at(2, keep=1.0), slot_at(3), slot_at(4)]
    steps = [engine.push("a", slot) for slot in slots]
    assert steps[-1].refreshed == sum(steps[index].prefilled for index in refreshed)


@pytest.mark.parametrize("name", ["", "some", "first:", "first:-1", "first:x", "all:1"])
def test_an_unknown_refresh_policy_is_rejected(name: str) -> None:
    with pytest.raises(EngineError, match="use none, all, anchors, first:N or drift:N"):
        EngineConfig(refresh=name)


@pytest.mark.parametrize(
    "config", [{"stride": 0}, {"stride": 9}, {"kv_blocks": 0}, {"max_answer_tokens": 0}]
)
def test_configurations_out_of_range_are_rejected(config: dict[str, int]) -> None:
    with pytest.raises(EngineError, match=next(iter(config))):
        EngineConfig(**config)


BAD_SLOTS = {
    "kept of another grid": ({"kept": np.ones((4, 3), np.bool_)}, r"not \(3, 4\)"),
    "kept of integers": ({"kept": np.ones((3, 4), np.uint8)}, "kept is uint8"),
    "fewer patches than kept": ({"patches": np.zeros((1, 2, 3, 16, 16), np.uint8)}, "patches are"),
    "patches of floats": ({"patches": np.zeros((12, 2, 3, 16, 16))}, "float64"),
    "patches of another size": ({"patches": np.zeros((12, 2, 3, 8, 8), np.uint8)}, "not uint8"),
    "reasons missing": ({"reasons": np.zeros(3, np.uint8)}, "reasons are"),
    "one frame time": ({"times": (9.0,)}, "1 frame times, not 2"),
    "no frame times": ({"times": ()}, "0 frame times, not 2"),
    "a time that is not a number": ({"times": (float("nan"), 9.0)}, "must be finite"),
    "an infinite time": ({"times": (9.0, float("inf"))}, "finite"),
    "a time before the stream": ({"times": (-1.0, 9.0)}, "must be between"),
    "a time beyond the latest time stamp": ({"times": (9.0, 1e9)}, "must be between"),
    "frames that run backwards": ({"times": (9.0, 8.0)}, "backwards"),
    "an old time": ({"times": (1.0, 9.0)}, "a slot at 1 s came after one at 1.5 s"),
    "an anchor without every cell": (
        {
            "kind": SlotKind.ANCHOR,
            "kept": np.eye(3, 4, dtype=np.bool_),
            "patches": np.zeros((3, 2, 3, 16, 16), np.uint8),
            "reasons": np.zeros(3, np.uint8),
        },
        "an anchor holds every cell; this one has 3 of 12",
    ),
}


@pytest.mark.parametrize("change", BAD_SLOTS)
def test_a_slot_that_does_not_fit_is_rejected_and_changes_nothing(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, change: str
) -> None:
    engine, untouched = engine_with(), engine_with()
    for one in (engine, untouched):
        one.open("a", grid)
        one.push("a", slot_at(0))
        one.push("a", slot_at(1))
    fields, message = BAD_SLOTS[change]
    bad = dataclasses.replace(slot_at(2, keep=1.0), **fields)
    with pytest.raises(SlotRefused, match=message):
        engine.push("a", bad)
    for one in (engine, untouched):
        one.push("a", slot_at(2))
    assert engine.ask("a", PERSON).probability == untouched.ask("a", PERSON).probability


def test_a_failed_pass_resets_the_session(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_with(window=2, stride=1)
    engine.open("a", grid)
    for second in range(3):
        engine.push("a", slot_at(second))

    def fail(*_: object) -> None:
        raise MemoryError("no memory left")

    with monkeypatch.context() as broken:
        broken.setattr(engine.model, "forward_packed", fail)
        with pytest.raises(MemoryError):
            engine.push("a", slot_at(3))
    assert engine.needs_anchor("a")
    engine.push("a", slot_at(4, keep=1.0))
    assert engine.ask("a", PERSON).start == 4.0


def test_the_caller_may_reuse_its_arrays(
    engine_with: MakeEngine, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    engine = engine_with()
    engine.open("a", grid)
    slot = slot_at(0)
    engine.push("a", slot)
    slot.kept[:] = False
    slot.patches[:] = 0
    assert engine.ask("a", PERSON).cells_kept == grid.cells
