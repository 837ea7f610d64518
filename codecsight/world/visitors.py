"""Who passes through: people who walk by or linger, cars that drive past or park, and bags that
are carried, set down, left alone and fetched.

Time is cut into blocks; each draws its parties from its own seed, so that any moment of an endless
stream can be had without living through what came before.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from codecsight.world.actor import COLOURS, Actor, Kind, Waypoint, width_of
from codecsight.world.families import family as family_of

BLOCK = 30.0
LOOK_BACK = 4
# How busy a block may be, as a factor of the scene's traffic.
_MOODS = (0.0, 0.5, 1.0, 1.0, 2.0)
# Identities are unique over blocks; residents and scripted actors are below the first. Visitors
# are counted from the beginning of their block's, those of incidents from the end.
PER_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Party:
    """What a visit is drawn from."""

    rng: np.random.Generator
    floor: tuple[float, float]
    aspect: float
    identity: int
    start: float

    @staticmethod
    def coming(
        rng: np.random.Generator,
        floor: tuple[float, float],
        aspect: float,
        identity: int,
        block: int,
    ) -> "Party":
        """Who comes at some moment of that block."""
        return Party(rng, floor, aspect, identity, (block + rng.random()) * BLOCK)

    def colour(self) -> str:
        """Any."""
        return str(self.rng.choice(list(COLOURS)))


@lru_cache(maxsize=512)
def visitors(
    family: str, seed: int, aspect: float, traffic: float, block: int
) -> tuple[Actor, ...]:
    """The actors whose visit begins within `block`; all are gone `LOOK_BACK` blocks later."""
    if block < -LOOK_BACK or traffic <= 0:
        return ()
    rng = np.random.default_rng([seed, block + LOOK_BACK, *family.encode()])
    floor = family_of(family).floor
    parties = min(rng.poisson(traffic * rng.choice(_MOODS)), PER_BLOCK // 2 - 4)
    actors: list[Actor] = []
    for number in range(parties):
        identity = (block + LOOK_BACK + 1) * PER_BLOCK + 2 * number
        party = Party.coming(rng, floor, aspect, identity, block)
        visit = rng.choice(["walk", "linger", "drive", "carry"], p=[0.26, 0.3, 0.26, 0.18])
        actors += _VISITS[str(visit)](party)
    return tuple(actors)


def stops(party: Party, kind: Kind, height: float, speed: float, stay: float) -> list[Waypoint]:
    """Come in over one edge, stand for `stay` seconds somewhere, go out over either edge."""
    rng = party.rng
    out = width_of(kind, height, party.aspect) / 2 + 0.01
    first, last = rng.choice([-out, 1 + out], 2)
    if stay <= 0:
        last = 1 + out if first < 0 else -out
    middle = rng.uniform(0.12, 0.88)
    y = rng.uniform(party.floor[0], party.floor[1], 3)
    if kind is Kind.VEHICLE:
        y[:] = y[0]
    arrive = party.start + abs(middle - first) / speed
    leave = arrive + stay
    return [
        Waypoint(party.start, first, y[0]),
        Waypoint(arrive, middle, y[1]),
        Waypoint(leave, middle, y[1]),
        Waypoint(leave + abs(last - middle) / speed, last, y[2]),
    ]


def _pedestrian(party: Party, stay: float) -> list[Actor]:
    height = party.rng.uniform(0.2, 0.34)
    path = stops(party, Kind.PERSON, height, party.rng.uniform(0.05, 0.2), stay)
    return [Actor(party.identity, Kind.PERSON, party.colour(), height, tuple(path))]


def _walk(party: Party) -> list[Actor]:
    return _pedestrian(party, 0.0)


def _linger(party: Party) -> list[Actor]:
    return _pedestrian(party, party.rng.uniform(3, 60))


def _drive(party: Party) -> list[Actor]:
    height = party.rng.uniform(0.14, 0.21)
    stay = party.rng.uniform(4, 80) if party.rng.random() < 0.5 else 0.0
    path = stops(party, Kind.VEHICLE, height, party.rng.uniform(0.08, 0.26), stay)
    return [Actor(party.identity, Kind.VEHICLE, party.colour(), height, tuple(path))]


def _carry(party: Party) -> list[Actor]:
    """A person brings a bag, sets it down, goes off without it, comes back and takes it along."""
    rng = party.rng
    height, small = rng.uniform(0.22, 0.34), rng.uniform(0.08, 0.11)
    speed = rng.uniform(0.07, 0.2)
    come = stops(party, Kind.PERSON, height, speed, rng.uniform(1, 6))
    path = (*come, *_return(come, speed, come[-1].time + rng.uniform(4, 30)))
    person = Actor(party.identity, Kind.PERSON, party.colour(), height, path)
    reach = width_of(Kind.PERSON, height, party.aspect) * 0.8
    aside = reach + width_of(Kind.BAG, small, party.aspect) / 2
    bag_path = _carried(path, aside)
    bag = (party.identity + 1, Kind.BAG, party.colour(), small, bag_path)
    return [person, Actor(*bag, dropped=bag_path[2].time)]


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
