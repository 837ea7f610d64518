"""What is really there: boxes, identities, colours, visibility, motion, events."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from codecsight.world.actor import Actor, Box, Kind
from codecsight.world.effects import EffectKind
from codecsight.world.scene import Scene
from codecsight.world.sprites import Sprite, sprite
from codecsight.world.view import Window

# An actor is plainly to be seen from this visible share of its shape on, and as good as
# invisible below the other; nobody should be asked of what lies between.
CLEAR = 0.55
FAINT = 0.12
# The height of the raster on which visible shares are counted.
_LINES = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """One actor at one moment. `visible` is the share of its shape that is within the picture and
    behind nobody, `velocity` its own motion in picture widths and heights per second; who `lies`
    is down on the ground.
    """

    identity: int
    kind: Kind
    colour: str
    box: Box
    visible: float
    velocity: tuple[float, float]
    lies: bool = False

    @property
    def clear(self) -> bool:
        """Whether anyone would see it."""
        return self.visible >= CLEAR

    @property
    def unsure(self) -> bool:
        """Whether people might disagree on seeing it."""
        return FAINT <= self.visible < CLEAR


@dataclass(frozen=True, slots=True)
class Sign:
    """A lamp, smoke or fire at one moment. `strength` goes from 0, nothing of it to be seen, to 1,
    as plain as it ever is; `box` is the most it reaches.
    """

    kind: EffectKind
    box: Box
    strength: float


@dataclass(frozen=True, slots=True)
class Truth:
    """Everyone present at `time`, farthest first, even where nothing of them can be seen; and the
    place's lamps (shining or not), smoke and fires, always in the same order. Boxes are in shares
    of the picture as the camera shows it then, which may pan and zoom.
    """

    time: float
    actors: tuple[Seen, ...]
    signs: tuple[Sign, ...] = ()

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
    FALL = "fall"


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
    window = scene.view.window(t)
    boxes = [_shown(actor.box(t, scene.aspect), window) for actor in actors]
    sprites = [
        sprite(actor, scene.style, box, t, width, height)
        for actor, box in zip(actors, boxes, strict=True)
    ]
    shares = _visible(sprites, width, height)
    rows = zip(actors, boxes, shares, strict=True)
    seen = tuple(_seen(*row, t, window.size) for row in rows)
    return Truth(t, seen, tuple(_signs(scene, t)))


def events(scene: Scene, start: float, end: float, step: float = 0.1) -> tuple[Event, ...]:
    """What happened within (start, end], in order, found to `step` seconds.

    An actor enters when it becomes plainly visible having been as good as invisible, and leaves
    the other way round; a bag is left behind when its bearer sets it down; who falls lies at once.
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
        happened += [event for event in _mishaps(scene, t) if index and t - step < event.time]
    return tuple(happened)


def _mishaps(scene: Scene, t: float) -> Iterator[Event]:
    """What has befallen those who are there, up to `t`."""
    for actor in scene.present(t):
        fell = actor.down[0] if actor.down else None
        for what, time in ((EventKind.LEFT_BEHIND, actor.dropped), (EventKind.FALL, fell)):
            if time is not None and time <= t:
                yield Event(time, what, actor.identity, actor.kind)


def _seen(actor: Actor, box: Box, visible: float, t: float, size: float) -> Seen:
    across, down = actor.velocity(t)
    velocity = across / size, down / size
    kind = actor.kind
    return Seen(actor.identity, kind, actor.colour, box, visible, velocity, actor.lies(t))


def _signs(scene: Scene, t: float) -> Iterator[Sign]:
    window = scene.view.window(t)
    for effect in scene.affected(t):
        strength = effect.strength(t)
        if strength or effect.kind is EffectKind.LAMP:
            yield Sign(effect.kind, _shown(effect.box(scene.aspect), window), strength)


def _shown(box: Box, window: Window) -> Box:
    """Where a camera that shows this part of the scene sees it."""
    return Box(
        (box.left - window.left) / window.size,
        (box.top - window.top) / window.size,
        (box.right - window.left) / window.size,
        (box.bottom - window.top) / window.size,
    )


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
