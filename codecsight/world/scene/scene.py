"""A scene: a place, its light, its noise, who lives there, and who passes through."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, static_actor
from codecsight.world.scene.backdrop import Layer
from codecsight.world.scene.effects import Effect
from codecsight.world.scene.families import get_family
from codecsight.world.scene.incidents import Incidents, fixture, incidents
from codecsight.world.scene.view import FIXED_VIEW, View
from codecsight.world.scene.visitors import BLOCK_S, MAX_VISIT_BLOCKS, visitors

# Incidents for each party that comes: none in half of the scenes.
_INCIDENTS = (0.0, 0.0, 0.15, 0.3)


class Style(StrEnum):
    """How actors are drawn. The training data has the default style only."""

    DEFAULT = "default"
    ALTERNATIVE = "alternative"


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness as a factor, which drifts by `drift` of itself over `period` seconds, and is
    `slope` brighter at the right edge than at the left.
    """

    level: float = 1.0
    drift: float = 0.0
    period: float = 60.0
    slope: float = 0.0

    def factor(self, t: float) -> float:
        """The factor at `t`."""
        return float(self.level * (1 + self.drift * np.sin(2 * np.pi * t / self.period)))


@dataclass(frozen=True)
class Scene:
    """Everything there is to know of one camera's view; the same scene is the same forever.

    `aspect` is the width of the picture over its height, `noise` the sensor's noise in grey
    levels of 255. `actors` are always part of it; visitors come and go with `traffic`, the mean
    number of parties in half a minute (0: nobody else ever comes, and nothing happens); for each
    there are so many `incidents` in the mean. `view` is how the camera looks at it, `effects` what
    changes though nobody moves. A sensor that is `per_frame_noise` draws its noise
    anew for every frame; else one field of noise is moved about, which is quicker and looks the
    same, but is sometimes found by an encoder's search for motion. `rain` is the number of drops
    that streak through each frame, close to the lens. All actors are drawn in one `style`.
    """

    family: str
    seed: int
    backdrop: tuple[Layer, ...]
    light: Light = Light()
    noise: float = 2.0
    actors: tuple[Actor, ...] = ()
    traffic: float = 0.0
    aspect: float = 4 / 3
    view: View = FIXED_VIEW
    effects: tuple[Effect, ...] = ()
    per_frame_noise: bool = False
    incidents: float = 0.0
    rain: int = 0
    style: Style = Style.DEFAULT

    @staticmethod
    def random(
        seed: int, family: str = "yard", aspect: float = 4 / 3, noise: float | None = None
    ) -> "Scene":
        """A place of that family with its own residents and traffic, settled by the seed; `noise`
        replaces the one it would have.
        """
        kind = get_family(family)
        rng = np.random.default_rng([seed, *family.encode()])
        light = Light(
            level=rng.uniform(*kind.light),
            drift=rng.choice([0.0, 0.0, 0.03, 0.08]),
            period=rng.uniform(20, 120),
            slope=rng.uniform(-0.2, 0.2),
        )
        backdrop, usual = kind.layout(rng), rng.uniform(*kind.noise)
        noise = usual if noise is None else noise
        residents = (_resident(rng, kind.floor),) if rng.random() < 0.2 else ()
        traffic = rng.uniform(1.2, 3.6)
        rare = float(np.random.default_rng([seed, 3, *family.encode()]).choice(_INCIDENTS))
        place = Scene(family, seed, backdrop, light, noise, residents, traffic, aspect)
        return replace(place, effects=fixture(family, seed), incidents=rare)

    def actors_at(self, t: float) -> tuple[Actor, ...]:
        """Who exists at `t`, farthest first (the order they are painted in)."""
        there = (actor for actor in self._actors(_since(t)) if actor.exists(t))
        return tuple(sorted(there, key=lambda actor: (actor.position(t)[1], actor.identity)))

    def effects_at(self, t: float) -> tuple[Effect, ...]:
        """What may be seen at `t` besides."""
        return self._effects(_since(t))

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """When, within [start, end), somebody sets out, stops or goes, or an effect begins or ends;
        in order.
        """
        blocks = range(_since(start).start, _since(end).stop)
        return _turns(self._actors(blocks), self._effects(blocks), start, end)

    def incident_times(self, start: float, end: float) -> tuple[float, ...]:
        """Those of `turns` that belong to incidents and effects."""
        blocks = range(_since(start).start, _since(end).stop)
        rare = (actor for block in blocks for actor in self._incidents(block).actors)
        return _turns(rare, self._effects(blocks), start, end)

    def _actors(self, blocks: range) -> Iterator[Actor]:
        yield from self.actors
        for block in blocks:
            yield from visitors(self.family, self.seed, self.aspect, self.traffic, block)
            yield from self._incidents(block).actors

    def _effects(self, blocks: range) -> tuple[Effect, ...]:
        rare = (effect for block in blocks for effect in self._incidents(block).effects)
        return (*self.effects, *rare)

    def _incidents(self, block: int) -> Incidents:
        rate = self.incidents * self.traffic
        return incidents(self.family, self.seed, self.aspect, rate, block)


def _turns(
    actors: Iterable[Actor], effects: Iterable[Effect], start: float, end: float
) -> tuple[float, ...]:
    ways = {point.time for actor in actors for point in actor.path}
    turns = [turn for effect in effects for turn in effect.change_times(start, end)]
    return tuple(sorted([*turns, *(time for time in ways if start <= time < end)]))


def _since(t: float) -> range:
    """The blocks whose visitors and incidents may still last at `t`."""
    block = int(t // BLOCK_S)
    return range(block - MAX_VISIT_BLOCKS, block + 1)


def _resident(rng: np.random.Generator, floor: tuple[float, float]) -> Actor:
    """Something that is always there: a parked car or, less often, a forgotten bag."""
    kind = ActorKind.VEHICLE if rng.random() < 0.7 else ActorKind.BAG
    height = rng.uniform(0.15, 0.2) if kind is ActorKind.VEHICLE else rng.uniform(0.08, 0.11)
    colour = str(rng.choice(list(COLOURS)))
    return static_actor(0, kind, colour, height, rng.uniform(0.15, 0.85), rng.uniform(*floor))
