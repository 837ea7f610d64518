"""What rarely happens: somebody runs or falls, something smokes or burns, a lamp is switched.

Drawn as visitors are, block by block, each from its own seed, and apart from them: a scene has the
same visitors with and without.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codecsight.world.scene.actor import Actor, ActorKind
from codecsight.world.scene.effects import Effect, Fire, Lamp, Smoke
from codecsight.world.scene.families import get_family
from codecsight.world.scene.visitors import IDS_PER_BLOCK, MAX_VISIT_BLOCKS, Visit, stops

# How often an incident is which.
_KINDS = {"run": 0.34, "fall": 0.34, "smoke": 0.16, "fire": 0.16}
_MOST = 4
_HOUSING = (38, 38, 42)


@dataclass(frozen=True, slots=True)
class Incidents:
    """Who and what they bring into the picture."""

    actors: tuple[Actor, ...] = ()
    effects: tuple[Effect, ...] = ()


NO_INCIDENTS = Incidents()


@lru_cache(maxsize=512)
def incidents(family: str, seed: int, aspect: float, rate: float, block: int) -> Incidents:
    """Incidents that begin within `block`, `rate` of them in the mean. All end within
    `MAX_VISIT_BLOCKS` blocks.
    """
    if block < -MAX_VISIT_BLOCKS or rate <= 0:
        return NO_INCIDENTS
    rng = np.random.default_rng([seed, block + MAX_VISIT_BLOCKS, 1, *family.encode()])
    actors: list[Actor] = []
    effects: list[Effect] = []
    for number in range(min(rng.poisson(rate), _MOST)):
        identity = (block + MAX_VISIT_BLOCKS + 2) * IDS_PER_BLOCK - 1 - number
        party = Visit.draw(rng, get_family(family).floor, aspect, identity, block)
        match str(rng.choice(list(_KINDS), p=list(_KINDS.values()))):
            case "run":
                actors.append(_runner(party))
            case "fall":
                actors.append(_faller(party))
            case "smoke":
                effects.append(_smoke(party))
            case _:
                effects.append(_fire(party))
    return Incidents(tuple(actors), tuple(effects))


def fixture(family: str, seed: int) -> tuple[Lamp, ...]:
    """The lamp on the wall of some places, switched on and off for ever."""
    rng = np.random.default_rng([seed, 2, *family.encode()])
    if rng.random() < 0.6:
        return ()
    period = rng.uniform(25, 120)
    x, y, radius = rng.uniform(0.08, 0.92), rng.uniform(0.1, 0.28), rng.uniform(0.1, 0.15)
    on = rng.uniform(0, period)
    off = on + period * rng.uniform(0.3, 0.7)
    return (Lamp(x, y, radius, on, off, period=period, housing=_HOUSING, bulb=0.35),)


def _runner(party: Visit) -> Actor:
    """In over one edge and straight out over the other."""
    height = party.rng.uniform(0.2, 0.34)
    path = stops(party, ActorKind.PERSON, height, party.rng.uniform(0.29, 0.42), 0.0)
    return Actor(party.identity, ActorKind.PERSON, party.colour(), height, tuple(path))


def _faller(party: Visit) -> Actor:
    """Walks in, falls, lies, gets up, stands for a moment and goes."""
    rng, height = party.rng, party.rng.uniform(0.22, 0.34)
    path = stops(party, ActorKind.PERSON, height, rng.uniform(0.07, 0.2), rng.uniform(5, 30))
    down = (path[1].time, path[2].time - 1.0)
    return Actor(
        party.identity, ActorKind.PERSON, party.colour(), height, tuple(path), lying_span=down
    )


def _smoke(party: Visit) -> Smoke:
    """Light and dark puffs, so that they show before any ground."""
    rng, grey = party.rng, int(party.rng.integers(125, 155))
    x, y = rng.uniform(0.12, 0.88), rng.uniform(party.floor[0] - 0.05, 0.85)
    radius, until = rng.uniform(0.08, 0.12), party.start + rng.uniform(8, 50)
    return Smoke(x, y, radius, party.start, (grey, grey, grey + 2), 9, 6.0, until, shade=70)


def _fire(party: Visit) -> Fire:
    rng = party.rng
    x, y = rng.uniform(0.1, 0.9), rng.uniform(*party.floor)
    return Fire(x, y, rng.uniform(0.04, 0.07), party.start, party.start + rng.uniform(6, 50))
