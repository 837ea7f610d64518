"""Isolation of streams, and no leaks.

Every stream shows one colour. Its answers must equal those of the same stream in an engine of its
own, although slots share passes, blocks change owners, and streams lose their KV, come again and
are closed.
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
from codecsight.models.tiny import random_model

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
    """Makes a slot of one colour; which cells it holds depends on the second alone."""

    def make(second: int, colour: str, keep: float | None = None) -> Slot:
        slot = slot_at(second, keep=keep)
        shade = np.array(CARDS[colour], np.uint8)[None, None, :, None, None]
        return replace(slot, patches=np.broadcast_to(shade, slot.patches.shape).copy())

    return make


def answers_alone(model: Qwen3VL, grid: PatchGrid, card: MakeSlot, config: EngineConfig) -> list:
    """Per second and colour, the answer and probability of a stream alone in its engine."""
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
def test_every_stream_answers_as_if_it_were_alone(
    model: Qwen3VL, grid: PatchGrid, card: MakeSlot, present: QueryView
) -> None:
    """The pool is overcommitted, so that streams lose their KV often and start again."""
    own = EngineConfig(window=4, stride=1, query_view=present)
    alone = answers_alone(model, grid, card, own)
    # The model can tell the colours apart, so a mix-up would show.
    assert len({round(probability, 3) for _, probability in alone[11].values()}) > 3
    config = replace(own, kv_blocks=40, reservation_ratio=0.4, step_tokens=150)
    streams = RandomStreams(Engine(model, config), grid, card, alone)
    for _ in range(300):
        streams.move()
    assert streams.checked > 50
    assert streams.lost > 5
    streams.close_all()
    engine = streams.engine
    status = engine.status()
    assert (status.blocks_allocated, status.blocks_reserved, status.streams) == (0, 0, {})
    assert engine._scratch.blocks == 0
    assert engine._pool.free_blocks == engine._pool.num_blocks - engine._prefix_blocks


class RandomStreams:
    """One stream per colour, opened and closed at random; checks every answer."""

    def __init__(self, engine: Engine, grid: PatchGrid, card: MakeSlot, alone: list) -> None:
        self.engine, self.grid, self.card, self.alone = engine, grid, card, alone
        self.random = np.random.default_rng(7)
        self.seconds: dict[str, int] = {}
        self.due: dict[int, tuple[str, int]] = {}
        self.checked = self.lost = 0

    def move(self) -> None:
        stream = str(self.random.choice(list(CARDS)))
        if stream not in self.seconds:
            self.engine.open(stream, self.grid)
            self.seconds[stream] = 0
        elif self.random.random() < 0.02:
            self.engine.close(stream)
            del self.seconds[stream]
            return
        self.push(stream)
        if self.random.random() < 0.6:
            self.step()

    def push(self, stream: str) -> None:
        second = self.seconds[stream]
        try:
            self.engine.submit(stream, self.card(second, stream))
            self.due[self.engine.submit_questions(stream, [COLOUR])] = (stream, second)
            self.seconds[stream] = (second + 1) % 12
        except SlotRefused:  # its KV is lost, or its queue is full
            self.seconds[stream] = 0
        if self.seconds[stream] == 0:
            self.engine.reset(stream)

    def step(self) -> None:
        for result in self.engine.step():
            colour, second = self.due.pop(result.ticket, ("", 0))
            self.lost += isinstance(result.error, AnchorRequired)
            if result.error is None and result.answers:
                value, probability = self.alone[second][colour]
                assert result.answers[0].value == value
                assert result.answers[0].probability == pytest.approx(probability, abs=1e-5)
                self.checked += 1

    def close_all(self) -> None:
        for stream in self.seconds:
            self.engine.close(stream)
        while self.engine.busy:
            self.step()


def test_a_step_reads_only_allocated_kv(model: Qwen3VL, grid: PatchGrid, slot_at: MakeSlot) -> None:
    """All free KV is NaN before each step: reading any of it would change answers."""
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
            fill_free_kv_with_nan(engine)
            results += engine.step()
        wanted = []
        while clean.busy:
            wanted += clean.step()
        for ours, theirs in zip(results, wanted, strict=True):
            assert [a.probability for a in ours.answers] == [a.probability for a in theirs.answers]


def fill_free_kv_with_nan(engine: Engine) -> None:
    held = [session.paged.allocator for session in engine._sessions.values()] + [engine._scratch]
    spare = np.concatenate([table._spare for table in held])
    free = np.array(engine._pool._free, np.int64)[:, None] * 16 + np.arange(16)
    rows = np.concatenate([spare, free.ravel()])
    engine._pool.keys[:, rows] = float("nan")
    engine._pool.values[:, rows] = float("nan")


def test_the_pool_of_a_deleted_engine_is_freed_at_once(model: Qwen3VL) -> None:
    """The pool is most of a device's memory: it must not wait for the garbage collector."""
    engine = Engine(model, EngineConfig())
    pool = weakref.ref(engine._pool)
    gc.disable()
    try:
        del engine
        assert pool() is None
    finally:
        gc.enable()


def test_memory_stays_constant_over_a_thousand_windows(grid: PatchGrid, slot_at: MakeSlot) -> None:
    """Live tensors and pool blocks, early and late, over many rebases."""
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
