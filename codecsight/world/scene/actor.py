"""Actors of a scene (people, vehicles, bags) and their positions over time.

Positions are fractions of the picture: x from the left edge, y from the top. (x, y) is the middle
of an actor's feet or wheels.
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
    """Kind of an actor."""

    PERSON = "person"
    VEHICLE = "vehicle"
    BAG = "bag"


# A person at this speed or faster runs, in picture widths per second. Walkers are slower.
MIN_RUNNING_SPEED = 0.25
# Width of an upright actor over its height, in pixels. Lying down swaps the two.
_WIDTH_TO_HEIGHT = {ActorKind.PERSON: 0.42, ActorKind.VEHICLE: 2.2, ActorKind.BAG: 1.15}


@dataclass(frozen=True, slots=True)
class Waypoint:
    """Position (x, y) at `time`, in seconds of the scene."""

    time: float
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Box:
    """Rectangle in fractions of the picture. It may extend past the edges."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Actor:
    """One person, vehicle or bag that follows a path.

    `height` is a fraction of the picture's height. The actor exists from its first waypoint's time
    until its last one's, and moves in a straight line between waypoints. `initially_faces_left`
    is its direction before it first moves sideways. `drop_time` is when a carried bag is set down,
    None if never. `lying_span` is the time span (start, end) during which a person who fell lies
    on the ground.
    """

    identity: int
    kind: ActorKind
    colour: str
    height: float
    path: tuple[Waypoint, ...]
    initially_faces_left: bool = False
    drop_time: float | None = None
    lying_span: tuple[float, float] | None = None
    _times: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_times", tuple(point.time for point in self.path))

    def exists(self, t: float) -> bool:
        """Whether the actor exists at `t`. It may be outside the picture."""
        return self.path[0].time <= t < self.path[-1].time

    def position(self, t: float) -> tuple[float, float]:
        """Position (x, y) of its feet at `t`."""
        before, after = self._segment(t)
        span = after.time - before.time
        share = min(max((t - before.time) / span, 0.0), 1.0) if span > 0 else 1.0
        return (
            before.x + share * (after.x - before.x),
            before.y + share * (after.y - before.y),
        )

    def velocity(self, t: float) -> tuple[float, float]:
        """Velocity at `t`, in picture widths and heights per second."""
        before, after = self._segment(t)
        span = after.time - before.time
        if not self.exists(t) or span <= 0:
            return (0.0, 0.0)
        return ((after.x - before.x) / span, (after.y - before.y) / span)

    def is_lying(self, t: float) -> bool:
        """Whether it lies on the ground at `t`."""
        return self.lying_span is not None and self.lying_span[0] <= t < self.lying_span[1]

    def is_running(self, t: float) -> bool:
        """Whether it is a person running at `t`."""
        return self.kind is ActorKind.PERSON and abs(self.velocity(t)[0]) >= MIN_RUNNING_SPEED

    def is_facing_left(self, t: float) -> bool:
        """Whether it faces left at `t`: the direction of its last sideways motion."""
        for index in range(self._index(t), 0, -1):
            step = self.path[index].x - self.path[index - 1].x
            if step:
                return step < 0
        return self.initially_faces_left

    def box(self, t: float, aspect: float) -> Box:
        """Bounding box at `t`, for a picture `aspect` times as wide as high."""
        x, y = self.position(t)
        height, width = self.height, self.height * _WIDTH_TO_HEIGHT[self.kind]
        if self.is_lying(t):
            height, width = width, height
        half = width / aspect / 2
        return Box(x - half, y - height, x + half, y)

    def _index(self, t: float) -> int:
        return min(max(bisect_right(self._times, t), 1), len(self.path) - 1)

    def _segment(self, t: float) -> tuple[Waypoint, Waypoint]:
        end = self._index(t)
        return self.path[end - 1], self.path[end]


def actor_width(kind: ActorKind, height: float, aspect: float) -> float:
    """Width, as a fraction of the picture's, of an actor of that kind and height."""
    return height * _WIDTH_TO_HEIGHT[kind] / aspect


def static_actor(
    identity: int, kind: ActorKind, colour: str, height: float, x: float, y: float
) -> Actor:
    """An actor that stays at (x, y) for the whole stream."""
    path = (Waypoint(-1e12, x, y), Waypoint(1e12, x, y))
    return Actor(identity, kind, colour, height, path)
