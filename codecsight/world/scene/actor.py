"""Who is in a scene, and where they are at any moment.

Places are fractions of the picture: x from the left edge, y from the top. An actor stands with
its feet (or wheels) at (x, y), x being its middle.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 35, 35),
    "green": (35, 150, 55),
    "blue": (40, 75, 205),
    "yellow": (230, 205, 45),
    "white": (240, 240, 238),
    "black": (28, 28, 32),
}


class ActorKind(StrEnum):
    """What an actor is."""

    PERSON = "person"
    VEHICLE = "vehicle"
    BAG = "bag"


# From so many picture widths per second on a person runs; nobody walks as fast.
MIN_RUNNING_SPEED = 0.25
# Width of an actor over its height, in pixels; who lies is as wide as it was high.
_PROPORTION = {ActorKind.PERSON: 0.42, ActorKind.VEHICLE: 2.2, ActorKind.BAG: 1.15}


@dataclass(frozen=True, slots=True)
class Waypoint:
    """To be at (x, y) at `time`, in seconds of the scene."""

    time: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in fractions of the picture; it may reach over the edges."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Actor:
    """One person, vehicle or bag on its way.

    `height` is a fraction of the picture's height. It is there from its first waypoint's time
    until its last one's, moving straight from each to the next. `faces_left` is how it stands
    until it first moves sideways. A bag has the time it was `drop_time` by its bearer, if ever; a
    person who falls is `down`, on the ground, from one time until another.
    """

    identity: int
    kind: ActorKind
    colour: str
    height: float
    path: tuple[Waypoint, ...]
    faces_left: bool = False
    drop_time: float | None = None
    lying_span: tuple[float, float] | None = None
    _times: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_times", tuple(point.time for point in self.path))

    def exists(self, t: float) -> bool:
        """Whether the actor exists at `t`; it may still be outside the picture."""
        return self.path[0].time <= t < self.path[-1].time

    def position(self, t: float) -> tuple[float, float]:
        """Where its feet are at `t`."""
        before, after = self._leg(t)
        span = after.time - before.time
        share = min(max((t - before.time) / span, 0.0), 1.0) if span > 0 else 1.0
        return (
            before.x + share * (after.x - before.x),
            before.y + share * (after.y - before.y),
        )

    def velocity(self, t: float) -> tuple[float, float]:
        """Its motion at `t` in picture widths and heights per second."""
        before, after = self._leg(t)
        span = after.time - before.time
        if not self.exists(t) or span <= 0:
            return (0.0, 0.0)
        return ((after.x - before.x) / span, (after.y - before.y) / span)

    def is_lying(self, t: float) -> bool:
        """Whether it lies on the ground at `t`."""
        return self.lying_span is not None and self.lying_span[0] <= t < self.lying_span[1]

    def is_running(self, t: float) -> bool:
        """Whether it is a person who runs at `t`."""
        return self.kind is ActorKind.PERSON and abs(self.velocity(t)[0]) >= MIN_RUNNING_SPEED

    def is_facing_left(self, t: float) -> bool:
        """Which way its front points at `t`: the way of its last sideways motion."""
        for leg in range(self._index(t), 0, -1):
            step = self.path[leg].x - self.path[leg - 1].x
            if step:
                return step < 0
        return self.faces_left

    def box(self, t: float, aspect: float) -> Box:
        """The rectangle around it at `t`, for a picture `aspect` times as wide as high."""
        x, y = self.position(t)
        high, wide = self.height, self.height * _PROPORTION[self.kind]
        if self.is_lying(t):
            high, wide = wide, high
        half = wide / aspect / 2
        return Box(x - half, y - high, x + half, y)

    def _index(self, t: float) -> int:
        return min(max(bisect_right(self._times, t), 1), len(self.path) - 1)

    def _leg(self, t: float) -> tuple[Waypoint, Waypoint]:
        end = self._index(t)
        return self.path[end - 1], self.path[end]


def actor_width(kind: ActorKind, height: float, aspect: float) -> float:
    """Width, as a fraction of the picture's, of an actor of `kind` that is `height` high."""
    return height * _PROPORTION[kind] / aspect


def static_actor(
    identity: int, kind: ActorKind, colour: str, height: float, x: float, y: float
) -> Actor:
    """An actor that has always been at (x, y) and always will be."""
    path = (Waypoint(-1e12, x, y), Waypoint(1e12, x, y))
    return Actor(identity, kind, colour, height, path)
