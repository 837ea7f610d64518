"""Windows of random scenes, as the model will meet them: pixels and truth."""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codecsight.world import TRAINING_FAMILIES, GroundTruth, Renderer, Scene, ground_truth
from codecsight.world.labels.questions import LabelledQuestion, label_window
from training.recipe import (
    CELL,
    DEFAULT_WEIGHTS,
    EARLY_START_MAX_S,
    FRAMES,
    HIGH_COUNT_WEIGHT,
    LATE_START_MAX_S,
    LATE_START_SHARE,
    RATE,
    TRAINING_SEEDS,
    QuestionWeights,
)

# Pictures are drawn larger and averaged, as a camera's picture is scaled down to the model's.
_OVERSAMPLING = 2
# Windows taken from each scene; laying one out costs as much as drawing a few pictures.
_PER_SCENE = 4
_CANDIDATES = 3
# ... all within so many seconds, so that the same visitors serve.
_SPREAD = 60.0
# So many incidents for each party that comes; the world has fewer.
_INCIDENTS = (0.0, 0.3, 0.8)
# How often a window is laid where something begins or ends, in it or just before: something rare,
# if that ever happens in the scene, or anything.
_RARE_TURNS, _TURNS, _BEFORE = 0.35, 0.35, 2.0


@dataclass(frozen=True, slots=True)
class Clip:
    """`frames` is uint8 [slots * 2, h, w, 3], sampled at `times`; `window` their truth."""

    frames: NDArray[np.uint8]
    times: tuple[float, ...]
    window: tuple[GroundTruth, ...]
    family: str

    @property
    def slots(self) -> int:
        """How many slots the window has."""
        return len(self.times) // FRAMES


def draw_clips(
    rng: random.Random,
    count: int,
    slots: int,
    grid: tuple[int, int],
    families: Sequence[str] = TRAINING_FAMILIES,
    seeds: range = TRAINING_SEEDS,
    weights: QuestionWeights = DEFAULT_WEIGHTS,
) -> list[Clip]:
    """`count` windows of `slots` slots over cells of `grid`, from scenes of `families` and `seeds`.

    Of three candidates the most eventful becomes the clip, as an empty yard teaches little; for the
    same reason more happens than usual.
    """
    drawn: list[Clip] = []
    while len(drawn) < count:
        scene = Scene.random(rng.choice(seeds), rng.choice(families), _aspect(grid))
        scene = replace(scene, incident_rate=rng.choice(_INCIDENTS))
        sampler = ClipSampler(scene, grid, rng)
        for _ in range(min(_PER_SCENE, count - len(drawn))):
            candidates = [sampler.sample(slots) for _ in range(_CANDIDATES)]
            drawn.append(
                max(candidates, key=lambda candidate: _interest(candidate, weights)).clip()
            )
    return drawn


class ClipSampler:
    """Looks at a scene at random moments."""

    def __init__(self, scene: Scene, grid: tuple[int, int], rng: random.Random) -> None:
        self._scene, self._rng = scene, rng
        rows, cols = (side * CELL * _OVERSAMPLING for side in grid)
        self._renderer = Renderer(scene, cols, rows)
        self._begin = _start(rng)
        self._turns = scene.change_times(self._begin, self._begin + _SPREAD)
        self._rare = scene.incident_times(self._begin, self._begin + _SPREAD) or self._turns
        self._quality = rng.randint(75, 95) if rng.random() < 0.5 else None

    def sample(self, slots: int) -> "ClipCandidate":
        """A window to be had, with its truth but without its pictures."""
        start = self._moment(slots * FRAMES / RATE)
        times = tuple(start + index / RATE for index in range(slots * FRAMES))
        return ClipCandidate(self, times, tuple(ground_truth(self._scene, t) for t in times))

    def _moment(self, length: float) -> float:
        """Where a window of `length` seconds begins."""
        pools, weights = (
            (self._rare, self._turns, ()),
            (_RARE_TURNS, _TURNS, 1 - _RARE_TURNS - _TURNS),
        )
        turns = self._rng.choices(pools, weights)[0]
        if not turns:
            return self._begin + self._rng.uniform(0, _SPREAD)
        return max(0.0, self._rng.choice(turns) + self._rng.uniform(-length, _BEFORE))

    def picture(self, t: float) -> NDArray[np.uint8]:
        """What the model is shown at `t`, uint8 [h, w, 3]."""
        small = Image.fromarray(self._renderer.frame(t)).reduce(_OVERSAMPLING)
        return np.asarray(small if self._quality is None else _compressed(small, self._quality))

    @property
    def family(self) -> str:
        """Of the scene."""
        return self._scene.family


@dataclass(frozen=True, slots=True)
class ClipCandidate:
    """A window whose truth is known and whose pictures aren't drawn yet."""

    sampler: ClipSampler
    times: tuple[float, ...]
    window: tuple[GroundTruth, ...]

    def clip(self) -> Clip:
        """Draw it."""
        frames = np.stack([self.sampler.picture(t) for t in self.times])
        return Clip(frames, self.times, self.window, self.sampler.family)


def _start(rng: random.Random) -> float:
    """Mostly early; the late ones are spread evenly over orders of magnitude."""
    if rng.random() < LATE_START_SHARE:
        return float(10 ** rng.uniform(math.log10(EARLY_START_MAX_S), math.log10(LATE_START_MAX_S)))
    return rng.uniform(0, EARLY_START_MAX_S - _SPREAD)


def _aspect(grid: tuple[int, int]) -> float:
    return 4 / 3 if grid == (6, 8) else grid[1] / grid[0]


def _interest(candidate: ClipCandidate, weights: QuestionWeights) -> float:
    """How much a window has to tell: the rarer the answer, the more."""
    return sum(
        max(0.0, question_weight(item, weights) - 1.0) for item in label_window(candidate.window)
    )


def question_weight(asked: LabelledQuestion, weights: QuestionWeights = DEFAULT_WEIGHTS) -> float:
    """How much likelier an answer is to be asked for than the common ones."""
    if asked.answer in ("yes", "no"):
        return (weights.yes if asked.answer == "yes" else weights.no).get(asked.topic, 1.0)
    return HIGH_COUNT_WEIGHT if asked.topic == "people" and asked.answer in "234" else 1.0


def _compressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    return Image.open(buffer)
