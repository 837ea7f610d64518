"""Who passes through: people who walk by or linger, cars that drive past or park, and bags that
are carried, set down, left alone and fetched.

Time is cut into blocks; each draws its parties from its own seed, so that any moment of an endless
stream can be had without living through what came before.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, Waypoint, actor_width
from codecsight.world.scene.families import get_family

BLOCK_S = 30.0
MAX_VISIT_BLOCKS = 4
# How busy a block may be, as a factor of the scene's traffic.
_MOODS = (0.0, 0.5, 1.0, 1.0, 2.0)
# Identities are unique over blocks; residents and scripted actors are below the first. Visitors
# are counted from the beginning of their block's, those of incidents from the end.
IDS_PER_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visit is drawn from."""

    rng: np.random.Generator
    floor: tuple[float, float]
    aspect: float
    identity: int
    start: float

    @staticmethod
    def draw(
        rng: np.random.Generator,
        floor: tuple[float, float],
        aspect: float,
        identity: int,
        block: int,
    ) -> "Visit":
        """Who comes at some moment of that block."""
        return Visit(rng, floor, aspect, identity, (block + rng.random()) * BLOCK_S)

    def colour(self) -> str:
        """Any."""
        return str(self.rng.choice(list(COLOURS)))


@lru_cache(maxsize=512)
def visitors(
    family: str, seed: int, aspect: float, traffic: float, block: int
) -> tuple[Actor, ...]:
    """Actors whose visit begins within `block`; all leave within `MAX_VISIT_BLOCKS` blocks."""
    if block < -MAX_VISIT_BLOCKS or traffic <= 0:
        return ()
    rng = np.random.default_rng([seed, block + MAX_VISIT_BLOCKS, *family.encode()])
    floor = get_family(family).floor
    parties = min(rng.poisson(traffic * rng.choice(_MOODS)), IDS_PER_BLOCK // 2 - 4)
    actors: list[Actor] = []
    for number in range(parties):
        identity = (block + MAX_VISIT_BLOCKS + 1) * IDS_PER_BLOCK + 2 * number
        party = Visit.draw(rng, floor, aspect, identity, block)
        visit = rng.choice(["walk", "linger", "drive", "carry"], p=[0.26, 0.3, 0.26, 0.18])
        actors += _VISITS[str(visit)](party)
    return tuple(actors)


def stops(
    party: Visit, kind: ActorKind, height: float, speed: float, stay: float
) -> list[Waypoint]:
    """Come in over one edge, stand for `stay` seconds somewhere, go out over either edge."""
    rng = party.rng
    out = actor_width(kind, height, party.aspect) / 2 + 0.01
    first, last = rng.choice([-out, 1 + out], 2)
    if stay <= 0:
        last = 1 + out if first < 0 else -out
    middle = rng.uniform(0.12, 0.88)
    y = rng.uniform(party.floor[0], party.floor[1], 3)
    if kind is ActorKind.VEHICLE:
        y[:] = y[0]
    arrive = party.start + abs(middle - first) / speed
    leave = arrive + stay
    return [
        Waypoint(party.start, first, y[0]),
        Waypoint(arrive, middle, y[1]),
        Waypoint(leave, middle, y[1]),
        Waypoint(leave + abs(last - middle) / speed, last, y[2]),
    ]


def _pedestrian(party: Visit, stay: float) -> list[Actor]:
    height = party.rng.uniform(0.2, 0.34)
    path = stops(party, ActorKind.PERSON, height, party.rng.uniform(0.05, 0.2), stay)
    return [Actor(party.identity, ActorKind.PERSON, party.colour(), height, tuple(path))]


def _walk(party: Visit) -> list[Actor]:
    return _pedestrian(party, 0.0)


def _linger(party: Visit) -> list[Actor]:
    return _pedestrian(party, party.rng.uniform(3, 60))


def _drive(party: Visit) -> list[Actor]:
    height = party.rng.uniform(0.14, 0.21)
    stay = party.rng.uniform(4, 80) if party.rng.random() < 0.5 else 0.0
    path = stops(party, ActorKind.VEHICLE, height, party.rng.uniform(0.08, 0.26), stay)
    return [Actor(party.identity, ActorKind.VEHICLE, party.colour(), height, tuple(path))]


def _carry(party: Visit) -> list[Actor]:
    """A person brings a bag, sets it down, goes off without it, comes back and takes it along."""
    rng = party.rng
    height, small = rng.uniform(0.22, 0.34), rng.uniform(0.08, 0.11)
    speed = rng.uniform(0.07, 0.2)
    come = stops(party, ActorKind.PERSON, height, speed, rng.uniform(1, 6))
    path = (*come, *_return(come, speed, come[-1].time + rng.uniform(4, 30)))
    person = Actor(party.identity, ActorKind.PERSON, party.colour(), height, path)
    reach = actor_width(ActorKind.PERSON, height, party.aspect) * 0.8
    aside = reach + actor_width(ActorKind.BAG, small, party.aspect) / 2
    bag_path = _carried(path, aside)
    bag = (party.identity + 1, ActorKind.BAG, party.colour(), small, bag_path)
    return [person, Actor(*bag, drop_time=bag_path[2].time)]


def _return(come: list[Waypoint], speed: float, start: float) -> list[Waypoint]:
    """Back from outside to where one stood, a second there, and out again."""
    spot, gone = come[2], come[-1]
    there = start + abs(spot.x - gone.x) / speed
    home = there + 1 + abs(spot.x - gone.x) / speed
    return [
        Waypoint(start, gone.x, gone.y),
        Waypoint(there, spot.x, spot.y),
        Waypoint(there + 1, spot.x, spot.y),
        Waypoint(home, gone.x, gone.y),
    ]


def _carried(bearer: tuple[Waypoint, ...], aside: float) -> tuple[Waypoint, ...]:
    """The way of a bag: beside its bearer's hand on the first leg and the last, in between on the
    ground where the bearer stopped first.
    """
    lift = 0.08
    entry, stop, *_, fetched, taken, home = bearer
    return (
        Waypoint(entry.time, entry.x + aside, entry.y - lift),
        Waypoint(stop.time, stop.x + aside, stop.y - lift),
        Waypoint(stop.time + 0.5, stop.x + aside, bearer[2].y),
        Waypoint(fetched.time, stop.x + aside, bearer[2].y),
        Waypoint(taken.time, taken.x + aside, taken.y - lift),
        Waypoint(home.time, home.x + aside, home.y - lift),
    )


_VISITS = {"walk": _walk, "linger": _linger, "drive": _drive, "carry": _carry}
