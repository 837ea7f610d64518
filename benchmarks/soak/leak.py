"""Does any stream ever speak of another's colour?

Streams share passes, lose their KV to one another, hang up and come again; each answer is held
against the stream's own colour, and against what it says when it has the engine to itself.
"""

from collections import Counter
from typing import Any

import numpy as np

from benchmarks.soak.colour_streams import COLOUR, Film, films, grid_of
from codecsight.engine import AdmissionRefused, Engine, EngineConfig, SlotRefused
from codecsight.models.base import VisionLanguageModel

CLOSE, HEAR = 0.02, 0.7  # how often a move is a stream's end, and how often it is followed by work


def leak(
    model: VisionLanguageModel, config: EngineConfig, steps: int, length: int = 16
) -> dict[str, Any]:
    """So many engine steps; `config` should overcommit, so that KV changes hands."""
    crowd = Crowd(model, config, films(model, config, length))
    while crowd.told["steps"] < steps:
        crowd.move()
    crowd.leave()
    status = crowd.engine.status()
    return {
        **{key: crowd.told[key] for key in COUNTS},
        "wrong_colours": crowd.wrong,
        "largest_difference_from_alone": crowd.difference,
        "blocks_held_at_the_end": status.blocks_allocated + crowd.engine._scratch.blocks,
        "blocks_free_at_the_end": crowd.engine._pool.free_blocks,
        "bytes_beside_the_pool_at_the_end": status.auxiliary_bytes,
        "blocks_of_the_pool": crowd.engine._pool.num_blocks - crowd.engine._prefix_blocks,
    }


COUNTS = (
    "steps",
    "shared",
    "slots",
    "answers",
    "evicted",
    "closed",
    "turned_away",
    "too_fast",
)


class Crowd:
    """Two streams of each colour. `told` counts what happened: steps (those `shared` by several
    streams), slots taken, answers, evictions, and so on.
    """

    def __init__(
        self, model: VisionLanguageModel, config: EngineConfig, shown: dict[str, Film]
    ) -> None:
        self.engine, self.told = Engine(model, config), Counter[str]()
        self.wrong, self.difference = 0, 0.0
        self._grid, self._random = grid_of(model), np.random.default_rng(11)
        self._films = {f"{colour} {n}": film for colour, film in shown.items() for n in (1, 2)}
        self._next: dict[str, int] = {}
        self._due: dict[int, tuple[Film, int]] = {}

    def move(self) -> None:
        """One stream shows its next slot and is asked, comes, or goes; often some work follows."""
        stream = str(self._random.choice(list(self._films)))
        if stream not in self._next:
            self._come(stream)
        elif self._random.random() < CLOSE:
            self._go(stream)
        else:
            self._show(stream)
        if self._random.random() < HEAR:
            self.hear()

    def _come(self, stream: str) -> None:
        try:
            self.engine.open(stream, self._grid)
        except AdmissionRefused:
            self.told["turned_away"] += 1
            self._go(str(self._random.choice(list(self._next))))
        else:
            self._next[stream] = 0

    def _go(self, stream: str) -> None:
        self.told["closed"] += 1
        self.engine.close(stream)
        del self._next[stream]

    def _show(self, stream: str) -> None:
        film, index = self._films[stream], self._next[stream]
        try:
            self.engine.submit(stream, film.slots[index])
        except SlotRefused:  # its KV is gone, or too much waits
            self.told["evicted" if self.engine.needs_anchor(stream) else "too_fast"] += 1
            self.engine.reset(stream)
            self._next[stream] = 0
            return
        self.told["slots"] += 1
        self._due[self.engine.submit_questions(stream, [COLOUR])] = (film, index)
        self._next[stream] = index + 1
        if index + 1 == len(film.slots):
            self._go(stream)

    def hear(self) -> None:
        """One step; every answer is checked."""
        results = self.engine.step()
        self.told["steps"] += 1
        self.told["shared"] += len({result.stream for result in results}) > 1
        for result in results:
            film, index = self._due.pop(result.ticket, (None, 0))
            for answer in result.answers if film else ():
                assert film is not None
                value, probability = film.alone[index]
                self.told["answers"] += 1
                self.wrong += not (answer.value == value == film.colour)
                self.difference = max(self.difference, abs(answer.probability - probability))

    def leave(self) -> None:
        """Everybody goes, and what was asked is answered."""
        for stream in list(self._next):
            self._go(stream)
        while self.engine.busy:
            self.hear()
