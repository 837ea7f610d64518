"""A scene: a place, its light, its noise, who lives there, and who passes through."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from codecsight.world.actor import COLOURS, Actor, Kind, standing
from codecsight.world.backdrop import Layer
from codecsight.world.effects import Effect
from codecsight.world.families import family as family_of
from codecsight.world.incidents import Incidents, fixture, incidents
from codecsight.world.shapes import Style
from codecsight.world.view import STILL, View
from codecsight.world.visitors import BLOCK, LOOK_BACK, visitors

# Incidents for each party that comes: none in half of the scenes.
_INCIDENTS = (0.0, 0.0, 0.15, 0.3)


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness as a factor, which drifts by `drift` of itself over `period` seconds, and is
    `slope` brighter at the right edge than at the left.
    """

    level: float = 1.0
    drift: float = 0.0
    period: float = 60.0
    slope: float = 0.0

    def at(self, t: float) -> float:
        """The factor at `t`."""
        return float(self.level * (1 + self.drift * np.sin(2 * np.pi * t / self.period)))


@dataclass(frozen=True)
class Scene:
    """Everything there is to know of one camera's view; the same scene is the same forever.

    `aspect` is the width of the picture over its height, `noise` the sensor's noise in grey
    levels of 255. `actors` are always part of it; visitors come and go with `traffic`, the mean
    number of parties in half a minute (0: nobody else ever comes, and nothing happens); for each
    there are so many `incidents` in the mean. `view` is how the camera looks at it, `effects` what
    changes though nobody moves. A sensor that is `grainy` draws its noise
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
    view: View = STILL
    effects: tuple[Effect, ...] = ()
    grainy: bool = False
    incidents: float = 0.0
    rain: int = 0
    style: Style = Style.USUAL

    @staticmethod
    def random(
        seed: int, family: str = "yard", aspect: float = 4 / 3, noise: float | None = None
    ) -> "Scene":
        """A place of that family with its own residents and traffic, settled by the seed; `noise`
        replaces the one it would have.
        """
        kind = family_of(family)
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

    def present(self, t: float) -> tuple[Actor, ...]:
        """Who exists at `t`, farthest first (the order they are painted in)."""
        there = (actor for actor in self._actors(_since(t)) if actor.present(t))
        return tuple(sorted(there, key=lambda actor: (actor.place(t)[1], actor.identity)))

    def affected(self, t: float) -> tuple[Effect, ...]:
        """What may be seen at `t` besides."""
        return self._effects(_since(t))

    def turns(self, start: float, end: float) -> tuple[float, ...]:
        """When, within [start, end), somebody sets out, stops or goes, or an effect begins or ends;
        in order.
        """
        blocks = range(_since(start).start, _since(end).stop)
        return _turns(self._actors(blocks), self._effects(blocks), start, end)

    def rare_turns(self, start: float, end: float) -> tuple[float, ...]:
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
    turns = [turn for effect in effects for turn in effect.turns(start, end)]
    return tuple(sorted([*turns, *(time for time in ways if start <= time < end)]))


def _since(t: float) -> range:
    """The blocks whose visitors and incidents may still last at `t`."""
    block = int(t // BLOCK)
    return range(block - LOOK_BACK, block + 1)


def _resident(rng: np.random.Generator, floor: tuple[float, float]) -> Actor:
    """Something that is always there: a parked car or, less often, a forgotten bag."""
    kind = Kind.VEHICLE if rng.random() < 0.7 else Kind.BAG
    height = rng.uniform(0.15, 0.2) if kind is Kind.VEHICLE else rng.uniform(0.08, 0.11)
    colour = str(rng.choice(list(COLOURS)))
    return standing(0, kind, colour, height, rng.uniform(0.15, 0.85), rng.uniform(*floor))
