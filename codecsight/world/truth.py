"""What is really there: boxes, identities, colours, visibility, motion, events."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from codecsight.world.actor import Actor, Box, Kind
from codecsight.world.scene import Scene
from codecsight.world.sprites import Sprite, sprite

# An actor is plainly to be seen from this visible share of its shape on, and as good as
# invisible below the other; nobody should be asked of what lies between.
CLEAR = 0.55
FAINT = 0.12
# The height of the raster on which visible shares are counted.
_LINES = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """One actor at one moment. `visible` is the share of its shape that is within the picture and
    behind nobody, `velocity` its motion in picture widths and heights per second.
    """

    identity: int
    kind: Kind
    colour: str
    box: Box
    visible: float
    velocity: tuple[float, float]

    @property
    def clear(self) -> bool:
        """Whether anyone would see it."""
        return self.visible >= CLEAR

    @property
    def unsure(self) -> bool:
        """Whether people might disagree on seeing it."""
        return FAINT <= self.visible < CLEAR


@dataclass(frozen=True, slots=True)
class Truth:
    """Everyone present at `time`, farthest first, even where nothing of them can be seen."""

    time: float
    actors: tuple[Seen, ...]

    def of(self, kind: Kind) -> tuple[Seen, ...]:
        """Those of one kind."""
        return tuple(seen for seen in self.actors if seen.kind is kind)

    def clear(self, kind: Kind) -> tuple[Seen, ...]:
        """Those of one kind that anyone would see."""
        return tuple(seen for seen in self.of(kind) if seen.clear)

    def unsure(self, kind: Kind) -> bool:
        """Whether one of that kind is half hidden, so that its presence is a matter of taste."""
        return any(seen.unsure for seen in self.of(kind))

    def visible(self, identity: int) -> float:
        """How much of that actor is to be seen; 0 when it isn't there."""
        return next((seen.visible for seen in self.actors if seen.identity == identity), 0.0)


class EventKind(StrEnum):
    """What may happen."""

    ENTER = "enter"
    LEAVE = "leave"
    LEFT_BEHIND = "left-behind"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one actor at `time`."""

    time: float
    what: EventKind
    identity: int
    kind: Kind


def truth(scene: Scene, t: float) -> Truth:
    """Who is where at `t`."""
    height, width = _LINES, round(_LINES * scene.aspect)
    actors = scene.present(t)
    boxes = [actor.box(t, scene.aspect) for actor in actors]
    sprites = [sprite(*pair, t, width, height) for pair in zip(actors, boxes, strict=True)]
    shares = _visible(sprites, width, height)
    return Truth(t, tuple(_seen(*row, t) for row in zip(actors, boxes, shares, strict=True)))


def events(scene: Scene, start: float, end: float, step: float = 0.1) -> tuple[Event, ...]:
    """What happened within (start, end], in order, found to `step` seconds.

    An actor enters when it becomes plainly visible having been as good as invisible, and leaves
    the other way round; a bag is left behind when its bearer sets it down.
    """
    happened: list[Event] = []
    inside: dict[int, bool] = {}
    for index in range(round((end - start) / step) + 1):
        t = start + index * step
        for seen in truth(scene, t).actors:
            was = inside.get(seen.identity, index == 0 and not seen.visible < FAINT)
            now = seen.clear or (was and seen.visible >= FAINT)
            if now != was and index:
                what = EventKind.ENTER if now else EventKind.LEAVE
                happened.append(Event(t, what, seen.identity, seen.kind))
            inside[seen.identity] = now
        happened += [
            Event(actor.dropped, EventKind.LEFT_BEHIND, actor.identity, actor.kind)
            for actor in scene.present(t)
            if index and actor.dropped is not None and t - step < actor.dropped <= t
        ]
    return tuple(happened)


def _seen(actor: Actor, box: Box, visible: float, t: float) -> Seen:
    return Seen(actor.identity, actor.kind, actor.colour, box, visible, actor.velocity(t))


def _visible(sprites: list[Sprite], width: int, height: int) -> list[float]:
    owner = np.full((height, width), -1, np.int16)
    for index, drawn in enumerate(sprites):
        rows, cols, labels = drawn.within(width, height)
        owner[rows, cols][labels >= 0] = index
    counts = np.bincount(owner[owner >= 0], minlength=len(sprites))
    return [
        float(count / max(1, (drawn.labels >= 0).sum()))
        for drawn, count in zip(sprites, counts, strict=True)
    ]
