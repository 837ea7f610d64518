"""No stream ever hears of another's picture, and nothing is left when all have gone.

Every stream shows one colour, like the cards in a leak test of a serving fleet; what each says
must be what it says when nobody else is there, though slots share passes, blocks change hands,
streams lose their KV, come again and are closed.
"""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import AnchorRequired, Engine, EngineConfig, QueryView, SlotRefused
from codecsight.models.families.qwen3_vl import Qwen3VL

MakeSlot = Callable[..., Slot]

COLOUR = Question("What colour is it?", QuestionKind.CHOICE, ("red", "green", "blue", "black"))
CARDS = {
    "red": (220, 20, 20),
    "green": (20, 200, 30),
    "blue": (10, 20, 230),
    "white": (250, 250, 250),
    "black": (0, 0, 0),
    "yellow": (240, 230, 20),
}


@pytest.fixture
def card(slot_at: MakeSlot) -> MakeSlot:
    """A slot all of one colour, with which cells it holds depending on the second alone."""

    def make(second: int, colour: str, keep: float | None = None) -> Slot:
        slot = slot_at(second, keep=keep)
        shade = np.array(CARDS[colour], np.uint8)[None, None, :, None, None]
        return replace(slot, patches=np.broadcast_to(shade, slot.patches.shape).copy())

    return make


def said_alone(model: Qwen3VL, grid: PatchGrid, card: MakeSlot, config: EngineConfig) -> list:
    """Per second and colour the chances of a stream that has the engine to itself."""
    alone: list[dict[str, float]] = []
    for colour in CARDS:
        engine = Engine(model, config)
        engine.open("only", grid)
        for second in range(12):
            if len(alone) <= second:
                alone.append({})
            engine.push("only", card(second, colour))
            answer = engine.ask("only", COLOUR)
            alone[second][colour] = (answer.value, answer.probability)
    return alone


@pytest.mark.parametrize("present", list(QueryView))
def test_every_stream_speaks_of_its_own_colour_alone(
    model: Qwen3VL, grid: PatchGrid, card: MakeSlot, present: QueryView
) -> None:
    """Overcommitted, so that streams lose their KV all the time; each then shows its card again
    from the beginning.
    """
    own = EngineConfig(window=4, stride=1, query_view=present)
    alone = said_alone(model, grid, card, own)
    assert len({round(chance, 3) for _, chance in alone[11].values()}) > 3  # colours do differ
    config = replace(own, kv_blocks=40, reservation_ratio=0.4, step_tokens=150)
    crowd = Crowd(Engine(model, config), grid, card, alone)
    for _ in range(300):
        crowd.move()
    assert crowd.heard > 50
    assert crowd.lost > 5
    crowd.leave()
    engine = crowd.engine
    status = engine.status()
    assert (status.blocks_allocated, status.blocks_reserved, status.streams) == (0, 0, {})
    assert engine._scratch.blocks == 0
    assert engine._pool.free_blocks == engine._pool.num_blocks - engine._prefix_blocks


class Crowd:
    """One stream per colour, coming and going; every answer is held against what was said alone."""

    def __init__(self, engine: Engine, grid: PatchGrid, card: MakeSlot, alone: list) -> None:
        self.engine, self.grid, self.card, self.alone = engine, grid, card, alone
        self.random = np.random.default_rng(7)
        self.seconds: dict[str, int] = {}
        self.due: dict[int, tuple[str, int]] = {}
        self.heard = self.lost = 0

    def move(self) -> None:
        stream = str(self.random.choice(list(CARDS)))
        if stream not in self.seconds:
            self.engine.open(stream, self.grid)
            self.seconds[stream] = 0
        elif self.random.random() < 0.02:
            self.engine.close(stream)
            del self.seconds[stream]
            return
        self.show(stream)
        if self.random.random() < 0.6:
            self.listen()

    def show(self, stream: str) -> None:
        second = self.seconds[stream]
        try:
            self.engine.submit(stream, self.card(second, stream))
            self.due[self.engine.submit_questions(stream, [COLOUR])] = (stream, second)
            self.seconds[stream] = (second + 1) % 12
        except SlotRefused:  # its KV is gone, or too much waits
            self.seconds[stream] = 0
        if self.seconds[stream] == 0:
            self.engine.reset(stream)

    def listen(self) -> None:
        for result in self.engine.step():
            colour, second = self.due.pop(result.ticket, ("", 0))
            self.lost += isinstance(result.error, AnchorRequired)
            if result.error is None and result.answers:
                value, chance = self.alone[second][colour]
                assert result.answers[0].value == value
                assert result.answers[0].probability == pytest.approx(chance, abs=1e-5)
                self.heard += 1

    def leave(self) -> None:
        for stream in self.seconds:
            self.engine.close(stream)
        while self.engine.busy:
            self.listen()


def test_a_step_reads_no_row_that_is_not_its_own(
    model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    """Every row that nobody holds is poisoned before each step: one NaN read would show."""
    engine = Engine(model, EngineConfig(window=3, stride=1, kv_blocks=120, max_answer_tokens=3))
    clean = Engine(model, engine.config)
    for one in (engine, clean):
        for stream in "ab":
            one.open(stream, grid)
    seen = Question("What is there?", QuestionKind.TEXT)
    for second in range(6):
        for stream in "ab":
            for one in (engine, clean):
                one.submit(stream, slot_at(second, seed=ord(stream)), [COLOUR, seen])
        results = []
        while engine.busy:
            poison(engine)
            results += engine.step()
        wanted = []
        while clean.busy:
            wanted += clean.step()
        for ours, theirs in zip(results, wanted, strict=True):
            assert [a.probability for a in ours.answers] == [a.probability for a in theirs.answers]


def poison(engine: Engine) -> None:
    held = [session.paged.table for session in engine._sessions.values()] + [engine._scratch]
    spare = np.concatenate([table._spare for table in held])
    free = np.array(engine._pool._free, np.int64)[:, None] * 16 + np.arange(16)
    rows = np.concatenate([spare, free.ravel()])
    engine._pool.keys[:, rows] = float("nan")
    engine._pool.values[:, rows] = float("nan")


def test_an_engine_that_nobody_holds_gives_its_pool_back_at_once(model: Qwen3VL) -> None:
    """Its pool is most of a device: that can't wait for the collector of cycles."""
    engine = Engine(model, EngineConfig())
    pool = weakref.ref(engine._pool)
    gc.disable()
    try:
        del engine
        assert pool() is None
    finally:
        gc.enable()


def test_memory_is_flat_over_a_thousand_windows(grid: PatchGrid, slot_at: MakeSlot) -> None:
    """Live tensors and pool blocks, early and late; positions begin anew many times."""
    from codecsight.models.tiny import random_model

    model = random_model(seed=2, text_num_hidden_layers=1, vision_depth=2)
    config = EngineConfig(window=3, stride=1, rebase_at=400, query_view=QueryView.REROTATED)
    engine = Engine(model, config)
    for stream in "abcd":
        engine.open(stream, grid)
    slots = [slot_at(second) for second in range(16)]
    seen = []
    for second in range(272):
        for stream in "abcd":
            times = (second + 0.0, second + 0.5)
            engine.submit(stream, replace(slots[second % 16], times=times), [COLOUR])
        while engine.busy:
            engine.step()
        if second in (127, 271):  # the same slots are in the windows both times
            gc.collect()
            live = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
            seen.append((live, engine.status().blocks_allocated))
    (early, blocks_early), (late, blocks_late) = seen
    assert late < early + 10
    assert blocks_late == blocks_early
