"""A scene: a place with its light, noise, actors, effects and camera view."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, static_actor
from codecsight.world.scene.backdrop import Layer
from codecsight.world.scene.effects import Effect
from codecsight.world.scene.families import get_family
from codecsight.world.scene.incidents import Incidents, incidents_in_block, wall_lamps
from codecsight.world.scene.view import FIXED_VIEW, View
from codecsight.world.scene.visitors import BLOCK_S, MAX_VISIT_BLOCKS, visitors_in_block

# Incidents per visit, drawn per scene: half of the scenes have none.
_INCIDENT_RATES = (0.0, 0.0, 0.15, 0.3)


class Style(StrEnum):
    """How actors are drawn. The training data has the default style only."""

    DEFAULT = "default"
    ALTERNATIVE = "alternative"


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness factor `level`, which varies sinusoidally by +-`drift` within `period` seconds.

    `slope` is the relative difference between the right edge and the left.
    """

    level: float = 1.0
    drift: float = 0.0
    period: float = 60.0
    slope: float = 0.0

    def factor(self, t: float) -> float:
        """The brightness factor at `t`."""
        return float(self.level * (1 + self.drift * np.sin(2 * np.pi * t / self.period)))


@dataclass(frozen=True)
class Scene:
    """Complete description of one camera's view. Equal scenes give equal pictures and truth.

    `aspect` is the width of the picture over its height. `noise` is the standard deviation of the
    sensor's noise in grey levels of 255. `actors` are always part of the scene; visitors come and
    go with `traffic`, the mean number of visits per 30 s block (0: no visitors and no incidents).
    `incident_rate` is the mean number of incidents per visit. `view` is the camera's motion,
    `effects` are the permanent effects. All actors are drawn in one `style`.

    Some things are drawn over the picture and are not part of the scene: `rain` is the number of
    streaks in each frame, `insects` the mean number of insects that fly past the lens per second,
    and `clock` tells whether the camera writes the time into the picture.

    With `per_frame_noise` every frame gets new noise. Otherwise crops of one noise field are used:
    faster and visually the same, but an encoder's motion search sometimes matches the crops.
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
    incident_rate: float = 0.0
    rain: int = 0
    insects: float = 0.0
    clock: bool = False
    style: Style = Style.DEFAULT

    @staticmethod
    def random(
        seed: int, family: str = "yard", aspect: float = 4 / 3, noise: float | None = None
    ) -> "Scene":
        """A scene of that family, drawn from the seed. `noise` overrides the drawn value."""
        place = get_family(family)
        rng = np.random.default_rng([seed, *family.encode()])
        light = Light(
            level=rng.uniform(*place.light),
            drift=rng.choice([0.0, 0.0, 0.03, 0.08]),
            period=rng.uniform(20, 120),
            slope=rng.uniform(-0.2, 0.2),
        )
        backdrop, drawn_noise = place.layout(rng), rng.uniform(*place.noise)
        noise = drawn_noise if noise is None else noise
        residents = (_resident(rng, place.floor),) if rng.random() < 0.2 else ()
        traffic = rng.uniform(1.2, 3.6)
        incident_rate = float(
            np.random.default_rng([seed, 3, *family.encode()]).choice(_INCIDENT_RATES)
        )
        scene = Scene(family, seed, backdrop, light, noise, residents, traffic, aspect)
        return replace(scene, effects=wall_lamps(family, seed), incident_rate=incident_rate)

    def actors_at(self, t: float) -> tuple[Actor, ...]:
        """Actors that exist at `t`, farthest first (the painting order)."""
        existing = (actor for actor in self._actors(_active_blocks(t)) if actor.exists(t))
        return tuple(sorted(existing, key=lambda actor: (actor.position(t)[1], actor.identity)))

    def effects_at(self, t: float) -> tuple[Effect, ...]:
        """Effects that may be visible at `t`, always in the same order."""
        return self._effects(_active_blocks(t))

    def change_times(self, start: float, end: float) -> tuple[float, ...]:
        """Sorted times within [start, end) at which the scene changes.

        At these an actor starts, stops or disappears, or an effect begins or ends.
        """
        blocks = range(_active_blocks(start).start, _active_blocks(end).stop)
        return _change_times(self._actors(blocks), self._effects(blocks), start, end)

    def incident_times(self, start: float, end: float) -> tuple[float, ...]:
        """The change times that belong to incidents and effects."""
        blocks = range(_active_blocks(start).start, _active_blocks(end).stop)
        actors = (actor for block in blocks for actor in self._incidents(block).actors)
        return _change_times(actors, self._effects(blocks), start, end)

    def _actors(self, blocks: range) -> Iterator[Actor]:
        yield from self.actors
        for block in blocks:
            yield from visitors_in_block(self.family, self.seed, self.aspect, self.traffic, block)
            yield from self._incidents(block).actors

    def _effects(self, blocks: range) -> tuple[Effect, ...]:
        incidental = (effect for block in blocks for effect in self._incidents(block).effects)
        return (*self.effects, *incidental)

    def _incidents(self, block: int) -> Incidents:
        rate = self.incident_rate * self.traffic
        return incidents_in_block(self.family, self.seed, self.aspect, rate, block)


def _change_times(
    actors: Iterable[Actor], effects: Iterable[Effect], start: float, end: float
) -> tuple[float, ...]:
    waypoints = {point.time for actor in actors for point in actor.path}
    effect_times = [t for effect in effects for t in effect.change_times(start, end)]
    return tuple(sorted([*effect_times, *(t for t in waypoints if start <= t < end)]))


def _active_blocks(t: float) -> range:
    """The blocks whose visitors and incidents may still exist at `t`."""
    block = int(t // BLOCK_S)
    return range(block - MAX_VISIT_BLOCKS, block + 1)


def _resident(rng: np.random.Generator, floor: tuple[float, float]) -> Actor:
    """A permanent actor: a parked car or, less often, a forgotten bag."""
    kind = ActorKind.VEHICLE if rng.random() < 0.7 else ActorKind.BAG
    height = rng.uniform(0.15, 0.2) if kind is ActorKind.VEHICLE else rng.uniform(0.08, 0.11)
    colour = str(rng.choice(list(COLOURS)))
    return static_actor(0, kind, colour, height, rng.uniform(0.15, 0.85), rng.uniform(*floor))
