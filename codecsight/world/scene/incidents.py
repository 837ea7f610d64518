"""Rare incidents: a person runs or falls, smoke, fire, a switched lamp.

Like visitors they are drawn block by block, each block from its own seed. Their random generators
are separate from the visitors', so a scene has the same visitors with incidents and without.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codecsight.world.scene.actor import Actor, ActorKind
from codecsight.world.scene.effects import Effect, Fire, Lamp, Smoke
from codecsight.world.scene.families import get_family
from codecsight.world.scene.visitors import IDS_PER_BLOCK, MAX_VISIT_BLOCKS, Visit, visit_path

# Probability of each kind of incident.
_KINDS = {"run": 0.34, "fall": 0.34, "smoke": 0.16, "fire": 0.16}
_MAX_PER_BLOCK = 4
_HOUSING = (38, 38, 42)


@dataclass(frozen=True, slots=True)
class Incidents:
    """Actors and effects of the incidents of one block."""

    actors: tuple[Actor, ...] = ()
    effects: tuple[Effect, ...] = ()


NO_INCIDENTS = Incidents()


@lru_cache(maxsize=512)
def incidents_in_block(family: str, seed: int, aspect: float, rate: float, block: int) -> Incidents:
    """Incidents that begin within `block`, `rate` of them in the mean. All end within
    `MAX_VISIT_BLOCKS` blocks.
    """
    if block < -MAX_VISIT_BLOCKS or rate <= 0:
        return NO_INCIDENTS
    rng = np.random.default_rng([seed, block + MAX_VISIT_BLOCKS, 1, *family.encode()])
    actors: list[Actor] = []
    effects: list[Effect] = []
    for number in range(min(rng.poisson(rate), _MAX_PER_BLOCK)):
        identity = (block + MAX_VISIT_BLOCKS + 2) * IDS_PER_BLOCK - 1 - number
        visit = Visit.draw(rng, get_family(family).floor, aspect, identity, block)
        match str(rng.choice(list(_KINDS), p=list(_KINDS.values()))):
            case "run":
                actors.append(_runner(visit))
            case "fall":
                actors.append(_faller(visit))
            case "smoke":
                effects.append(_smoke(visit))
            case _:
                effects.append(_fire(visit))
    return Incidents(tuple(actors), tuple(effects))


def wall_lamps(family: str, seed: int) -> tuple[Lamp, ...]:
    """The wall lamp that 40% of the places have, switched on and off periodically."""
    rng = np.random.default_rng([seed, 2, *family.encode()])
    if rng.random() < 0.6:
        return ()
    period = rng.uniform(25, 120)
    x, y, radius = rng.uniform(0.08, 0.92), rng.uniform(0.1, 0.28), rng.uniform(0.1, 0.15)
    on = rng.uniform(0, period)
    off = on + period * rng.uniform(0.3, 0.7)
    return (Lamp(x, y, radius, on, off, period=period, housing=_HOUSING, bulb_ratio=0.35),)


def _runner(visit: Visit) -> Actor:
    """A person who runs in over one edge and straight out over the other."""
    height = visit.rng.uniform(0.2, 0.34)
    path = visit_path(visit, ActorKind.PERSON, height, visit.rng.uniform(0.29, 0.42), 0.0)
    return Actor(visit.identity, ActorKind.PERSON, visit.random_colour(), height, tuple(path))


def _faller(visit: Visit) -> Actor:
    """A person who walks in, falls, lies, gets up, stands for a second and leaves."""
    rng, height = visit.rng, visit.rng.uniform(0.22, 0.34)
    path = visit_path(visit, ActorKind.PERSON, height, rng.uniform(0.07, 0.2), rng.uniform(5, 30))
    lying = (path[1].time, path[2].time - 1.0)
    return Actor(
        visit.identity,
        ActorKind.PERSON,
        visit.random_colour(),
        height,
        tuple(path),
        lying_span=lying,
    )


def _smoke(visit: Visit) -> Smoke:
    """Smoke with light and dark puffs, visible on any background."""
    rng, grey = visit.rng, int(visit.rng.integers(125, 155))
    x, y = rng.uniform(0.12, 0.88), rng.uniform(visit.floor[0] - 0.05, 0.85)
    radius, end = rng.uniform(0.08, 0.12), visit.start + rng.uniform(8, 50)
    return Smoke(x, y, radius, visit.start, (grey, grey, grey + 2), 9, 6.0, end, contrast=70)


def _fire(visit: Visit) -> Fire:
    rng = visit.rng
    x, y = rng.uniform(0.1, 0.9), rng.uniform(*visit.floor)
    return Fire(x, y, rng.uniform(0.04, 0.07), visit.start, visit.start + rng.uniform(6, 50))
