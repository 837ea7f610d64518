"""Visitors: people who walk by or linger, cars that pass or park, and bags that are carried.

Time is divided into blocks of 30 s. Each block draws its visits from its own seed, so any moment
of an endless stream is computed without simulating what came before.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, Waypoint, actor_width
from codecsight.world.scene.families import get_family

BLOCK_S = 30.0
MAX_VISIT_BLOCKS = 4
# Factors on the scene's traffic, one drawn per block: quiet and busy times.
_ACTIVITY = (0.0, 0.5, 1.0, 1.0, 2.0)
# Each block has a range of identities of its own; residents and scripted actors are below all of
# them. Visitors count up from the start of their block's range, incidents down from its end.
IDS_PER_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Visit:
    """Parameters of one visit: random generator, place, first identity and start time."""

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
        """A visit that starts at a random time within the block."""
        return Visit(rng, floor, aspect, identity, (block + rng.random()) * BLOCK_S)

    def random_colour(self) -> str:
        """A random colour name."""
        return str(self.rng.choice(list(COLOURS)))


@lru_cache(maxsize=512)
def visitors_in_block(
    family: str, seed: int, aspect: float, traffic: float, block: int
) -> tuple[Actor, ...]:
    """Actors whose visit begins within `block`; all leave within `MAX_VISIT_BLOCKS` blocks."""
    if block < -MAX_VISIT_BLOCKS or traffic <= 0:
        return ()
    rng = np.random.default_rng([seed, block + MAX_VISIT_BLOCKS, *family.encode()])
    floor = get_family(family).floor
    visits = min(rng.poisson(traffic * rng.choice(_ACTIVITY)), IDS_PER_BLOCK // 2 - 4)
    actors: list[Actor] = []
    for number in range(visits):
        identity = (block + MAX_VISIT_BLOCKS + 1) * IDS_PER_BLOCK + 2 * number
        visit = Visit.draw(rng, floor, aspect, identity, block)
        kind = rng.choice(["walk", "linger", "drive", "carry"], p=[0.26, 0.3, 0.26, 0.18])
        actors += _VISITS[str(kind)](visit)
    return tuple(actors)


def visit_path(
    visit: Visit, kind: ActorKind, height: float, speed: float, stay: float
) -> list[Waypoint]:
    """Path in over one edge, `stay` seconds at a random place, and out over either edge.

    With `stay` 0 it goes straight on and leaves over the opposite edge.
    """
    rng = visit.rng
    outside = actor_width(kind, height, visit.aspect) / 2 + 0.01
    first, last = rng.choice([-outside, 1 + outside], 2)
    if stay <= 0:
        last = 1 + outside if first < 0 else -outside
    middle = rng.uniform(0.12, 0.88)
    y = rng.uniform(visit.floor[0], visit.floor[1], 3)
    if kind is ActorKind.VEHICLE:
        y[:] = y[0]
    arrive = visit.start + abs(middle - first) / speed
    leave = arrive + stay
    return [
        Waypoint(visit.start, first, y[0]),
        Waypoint(arrive, middle, y[1]),
        Waypoint(leave, middle, y[1]),
        Waypoint(leave + abs(last - middle) / speed, last, y[2]),
    ]


def _pedestrian(visit: Visit, stay: float) -> list[Actor]:
    height = visit.rng.uniform(0.2, 0.34)
    path = visit_path(visit, ActorKind.PERSON, height, visit.rng.uniform(0.05, 0.2), stay)
    return [Actor(visit.identity, ActorKind.PERSON, visit.random_colour(), height, tuple(path))]


def _walk(visit: Visit) -> list[Actor]:
    return _pedestrian(visit, 0.0)


def _linger(visit: Visit) -> list[Actor]:
    return _pedestrian(visit, visit.rng.uniform(3, 60))


def _drive(visit: Visit) -> list[Actor]:
    height = visit.rng.uniform(0.14, 0.21)
    stay = visit.rng.uniform(4, 80) if visit.rng.random() < 0.5 else 0.0
    path = visit_path(visit, ActorKind.VEHICLE, height, visit.rng.uniform(0.08, 0.26), stay)
    return [Actor(visit.identity, ActorKind.VEHICLE, visit.random_colour(), height, tuple(path))]


def _carry(visit: Visit) -> list[Actor]:
    """A person brings a bag, sets it down, leaves, comes back and takes it away."""
    rng = visit.rng
    height, bag_height = rng.uniform(0.22, 0.34), rng.uniform(0.08, 0.11)
    speed = rng.uniform(0.07, 0.2)
    arrival = visit_path(visit, ActorKind.PERSON, height, speed, rng.uniform(1, 6))
    path = (*arrival, *_return(arrival, speed, arrival[-1].time + rng.uniform(4, 30)))
    person = Actor(visit.identity, ActorKind.PERSON, visit.random_colour(), height, path)
    reach = actor_width(ActorKind.PERSON, height, visit.aspect) * 0.8
    offset = reach + actor_width(ActorKind.BAG, bag_height, visit.aspect) / 2
    bag_path = _bag_path(path, offset)
    bag = (visit.identity + 1, ActorKind.BAG, visit.random_colour(), bag_height, bag_path)
    return [person, Actor(*bag, drop_time=bag_path[2].time)]


def _return(arrival: list[Waypoint], speed: float, start: float) -> list[Waypoint]:
    """Path back from outside to the first stop, one second there, and out again."""
    stop, outside = arrival[2], arrival[-1]
    arrive = start + abs(stop.x - outside.x) / speed
    leave = arrive + 1 + abs(stop.x - outside.x) / speed
    return [
        Waypoint(start, outside.x, outside.y),
        Waypoint(arrive, stop.x, stop.y),
        Waypoint(arrive + 1, stop.x, stop.y),
        Waypoint(leave, outside.x, outside.y),
    ]


def _bag_path(bearer: tuple[Waypoint, ...], offset: float) -> tuple[Waypoint, ...]:
    """Path of a carried bag, `offset` beside its bearer.

    It is lifted on the first and the last part of the bearer's path, and on the ground at the
    bearer's first stop in between.
    """
    lift = 0.08
    entry, stop, *_, fetched, taken, out = bearer
    return (
        Waypoint(entry.time, entry.x + offset, entry.y - lift),
        Waypoint(stop.time, stop.x + offset, stop.y - lift),
        Waypoint(stop.time + 0.5, stop.x + offset, bearer[2].y),
        Waypoint(fetched.time, stop.x + offset, bearer[2].y),
        Waypoint(taken.time, taken.x + offset, taken.y - lift),
        Waypoint(out.time, out.x + offset, out.y - lift),
    )


_VISITS = {"walk": _walk, "linger": _linger, "drive": _drive, "carry": _carry}
