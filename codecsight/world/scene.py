"""A scene: a place, its light, its noise, who lives there, and who passes through."""

from dataclasses import dataclass

import numpy as np

from codecsight.world.actor import COLOURS, Actor, Kind, standing
from codecsight.world.backdrop import Layer
from codecsight.world.effects import Effect
from codecsight.world.families import family as family_of
from codecsight.world.view import STILL, View
from codecsight.world.visitors import BLOCK, LOOK_BACK, visitors


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
    number of parties in half a minute (0: nobody else ever comes). `view` is how the camera looks
    at it, `effects` what changes though nobody moves. A sensor that is `grainy` draws its noise
    anew for every frame; else one field of noise is moved about, which is quicker and looks the
    same, but is sometimes found by an encoder's search for motion.
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

    @staticmethod
    def random(
        seed: int, family: str = "yard", aspect: float = 4 / 3, noise: float | None = None
    ) -> "Scene":
        """A place of that family with its own residents and traffic, settled by the seed; `noise`
        replaces the one it would have.
        """
        place = family_of(family)
        rng = np.random.default_rng([seed, *family.encode()])
        light = Light(
            level=rng.uniform(*place.light),
            drift=rng.choice([0.0, 0.0, 0.03, 0.08]),
            period=rng.uniform(20, 120),
            slope=rng.uniform(-0.2, 0.2),
        )
        backdrop, usual = place.layout(rng), rng.uniform(*place.noise)
        noise = usual if noise is None else noise
        residents = (_resident(rng, place.floor),) if rng.random() < 0.2 else ()
        traffic = rng.uniform(1.2, 3.6)
        return Scene(family, seed, backdrop, light, noise, residents, traffic, aspect)

    def present(self, t: float) -> tuple[Actor, ...]:
        """Who exists at `t`, farthest first (the order they are painted in)."""
        block = int(t // BLOCK)
        comers = tuple(
            actor
            for number in range(block - LOOK_BACK, block + 1)
            for actor in visitors(self.family, self.seed, self.aspect, self.traffic, number)
        )
        there = (actor for actor in (*self.actors, *comers) if actor.present(t))
        return tuple(sorted(there, key=lambda actor: (actor.place(t)[1], actor.identity)))


def _resident(rng: np.random.Generator, floor: tuple[float, float]) -> Actor:
    """Something that is always there: a parked car or, less often, a forgotten bag."""
    kind = Kind.VEHICLE if rng.random() < 0.7 else Kind.BAG
    height = rng.uniform(0.15, 0.2) if kind is Kind.VEHICLE else rng.uniform(0.08, 0.11)
    colour = str(rng.choice(list(COLOURS)))
    return standing(0, kind, colour, height, rng.uniform(0.15, 0.85), rng.uniform(*floor))
