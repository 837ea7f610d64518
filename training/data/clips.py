"""Training windows of random scenes: pictures and ground truth."""

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

# Pictures are rendered larger and averaged, as camera pictures are scaled to the model's size.
_OVERSAMPLING = 2
# Windows taken from each scene, since building a scene costs as much as a few pictures.
_WINDOWS_PER_SCENE = 4
_CANDIDATES = 3
# They start within this many seconds, so that cached visitors are reused.
_SPREAD_S = 60.0
# Incidents per visit, drawn per scene; more than in the world's own scenes.
_INCIDENT_RATES = (0.0, 0.3, 0.8)
# Share of windows placed around an incident's change time (any change time if there are no
# incidents), and around any change time. The window starts at most `_MAX_DELAY_S` after it.
_INCIDENT_SHARE, _CHANGE_SHARE, _MAX_DELAY_S = 0.35, 0.35, 2.0


@dataclass(frozen=True, slots=True)
class Clip:
    """A window: `frames` uint8 [slots * 2, h, w, 3] sampled at `times`, and their ground truth."""

    frames: NDArray[np.uint8]
    times: tuple[float, ...]
    window: tuple[GroundTruth, ...]
    family: str

    @property
    def slots(self) -> int:
        """Number of slots of the window."""
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
    """Draw `count` windows of `slots` slots from random scenes of `families` and `seeds`.

    `grid` is the number of cells (rows, cols) of a picture. Each clip is the most informative of
    three candidates by `weights`, since empty scenes teach little.
    """
    drawn: list[Clip] = []
    while len(drawn) < count:
        scene = Scene.random(rng.choice(seeds), rng.choice(families), _aspect(grid))
        scene = replace(scene, incident_rate=rng.choice(_INCIDENT_RATES))
        sampler = ClipSampler(scene, grid, rng)
        for _ in range(min(_WINDOWS_PER_SCENE, count - len(drawn))):
            candidates = [sampler.sample(slots) for _ in range(_CANDIDATES)]
            best = max(candidates, key=lambda each: _information(each.window, weights))
            drawn.append(best.render())
    return drawn


class ClipSampler:
    """Samples windows of one scene at random times."""

    def __init__(self, scene: Scene, grid: tuple[int, int], rng: random.Random) -> None:
        self._scene, self._rng = scene, rng
        rows, cols = (side * CELL * _OVERSAMPLING for side in grid)
        self._renderer = Renderer(scene, cols, rows)
        self._start = _start_time(rng)
        span = self._start, self._start + _SPREAD_S
        self._change_times = scene.change_times(*span)
        self._incident_times = scene.incident_times(*span) or self._change_times
        self._jpeg_quality = rng.randint(75, 95) if rng.random() < 0.5 else None

    def sample(self, slots: int) -> "ClipCandidate":
        """A candidate window: its ground truth without its pictures."""
        start = self._window_start(slots * FRAMES / RATE)
        times = tuple(start + index / RATE for index in range(slots * FRAMES))
        return ClipCandidate(self, times, tuple(ground_truth(self._scene, t) for t in times))

    def _window_start(self, length: float) -> float:
        """Random start of a window of `length` seconds."""
        pools = self._incident_times, self._change_times, ()
        shares = _INCIDENT_SHARE, _CHANGE_SHARE, 1 - _INCIDENT_SHARE - _CHANGE_SHARE
        times = self._rng.choices(pools, shares)[0]
        if not times:
            return self._start + self._rng.uniform(0, _SPREAD_S)
        return max(0.0, self._rng.choice(times) + self._rng.uniform(-length, _MAX_DELAY_S))

    def picture(self, t: float) -> NDArray[np.uint8]:
        """The model's input picture at `t`, uint8 [h, w, 3]."""
        small = Image.fromarray(self._renderer.frame(t)).reduce(_OVERSAMPLING)
        if self._jpeg_quality is not None:
            small = _jpeg(small, self._jpeg_quality)
        return np.asarray(small)

    @property
    def family(self) -> str:
        """The scene's family."""
        return self._scene.family


@dataclass(frozen=True, slots=True)
class ClipCandidate:
    """A window with ground truth whose pictures are not rendered yet."""

    sampler: ClipSampler
    times: tuple[float, ...]
    window: tuple[GroundTruth, ...]

    def render(self) -> Clip:
        """Render its pictures."""
        frames = np.stack([self.sampler.picture(t) for t in self.times])
        return Clip(frames, self.times, self.window, self.sampler.family)


def _start_time(rng: random.Random) -> float:
    """Mostly an early time; the late ones are distributed log-uniformly."""
    if rng.random() < LATE_START_SHARE:
        return float(10 ** rng.uniform(math.log10(EARLY_START_MAX_S), math.log10(LATE_START_MAX_S)))
    return rng.uniform(0, EARLY_START_MAX_S - _SPREAD_S)


def _aspect(grid: tuple[int, int]) -> float:
    return 4 / 3 if grid == (6, 8) else grid[1] / grid[0]


def _information(window: Sequence[GroundTruth], weights: QuestionWeights) -> float:
    """Sum of the question weights above 1: higher for windows with rare answers."""
    return sum(max(0.0, question_weight(item, weights) - 1.0) for item in label_window(window))


def question_weight(item: LabelledQuestion, weights: QuestionWeights = DEFAULT_WEIGHTS) -> float:
    """Relative probability of asking a question: 1 for common answers, more for rare ones."""
    if item.answer in ("yes", "no"):
        return (weights.yes if item.answer == "yes" else weights.no).get(item.topic, 1.0)
    return HIGH_COUNT_WEIGHT if item.topic == "people" and item.answer in "234" else 1.0


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    return Image.open(buffer)
