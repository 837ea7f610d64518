"""What is really there: boxes, identities, colours, visibility, motion, events."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from codecsight.world.rendering.sprites import Sprite, sprite
from codecsight.world.scene.actor import Actor, ActorKind, Box
from codecsight.world.scene.effects import EffectKind
from codecsight.world.scene.scene import Scene
from codecsight.world.scene.view import ViewRegion

# An actor is plainly to be seen from this visible share of its shape on, and as good as
# invisible below the other; nobody should be asked of what lies between.
CLEARLY_VISIBLE = 0.55
BARELY_VISIBLE = 0.12
# The height of the raster on which visible shares are counted.
_LINES = 120


@dataclass(frozen=True, slots=True)
class ActorState:
    """One actor at one moment. `visible` is the share of its shape that is within the picture and
    behind nobody, `velocity` its own motion in picture widths and heights per second; who `lies`
    is down on the ground.
    """

    identity: int
    kind: ActorKind
    colour: str
    box: Box
    visible_fraction: float
    velocity: tuple[float, float]
    lying: bool = False

    @property
    def clearly_visible(self) -> bool:
        """Whether anyone would see it."""
        return self.visible_fraction >= CLEARLY_VISIBLE

    @property
    def ambiguous(self) -> bool:
        """Whether people might disagree on seeing it."""
        return BARELY_VISIBLE <= self.visible_fraction < CLEARLY_VISIBLE


@dataclass(frozen=True, slots=True)
class EffectState:
    """A lamp, smoke or fire at one moment. `strength` goes from 0, nothing of it to be seen, to 1,
    as plain as it ever is; `box` is the most it reaches.
    """

    kind: EffectKind
    box: Box
    strength: float


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Everyone present at `time`, farthest first, even where nothing of them can be seen; and the
    place's lamps (shining or not), smoke and fires, always in the same order. Boxes are in shares
    of the picture as the camera shows it then, which may pan and zoom.
    """

    time: float
    actors: tuple[ActorState, ...]
    effects: tuple[EffectState, ...] = ()

    def of_kind(self, kind: ActorKind) -> tuple[ActorState, ...]:
        """Those of one kind."""
        return tuple(seen for seen in self.actors if seen.kind is kind)

    def clearly_visible(self, kind: ActorKind) -> tuple[ActorState, ...]:
        """Those of one kind that anyone would see."""
        return tuple(seen for seen in self.of_kind(kind) if seen.clearly_visible)

    def ambiguous(self, kind: ActorKind) -> bool:
        """Whether one of that kind is half hidden, so that its presence is a matter of taste."""
        return any(seen.ambiguous for seen in self.of_kind(kind))

    def visible_fraction(self, identity: int) -> float:
        """How much of that actor is to be seen; 0 when it isn't there."""
        return next(
            (seen.visible_fraction for seen in self.actors if seen.identity == identity), 0.0
        )


class SceneEventKind(StrEnum):
    """What may happen."""

    ENTER = "enter"
    LEAVE = "leave"
    LEFT_BEHIND = "left-behind"
    FALL = "fall"


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """Something that happened to one actor at `time`."""

    time: float
    what: SceneEventKind
    identity: int
    kind: ActorKind


def ground_truth(scene: Scene, t: float) -> GroundTruth:
    """Who is where at `t`."""
    height, width = _LINES, round(_LINES * scene.aspect)
    actors = scene.actors_at(t)
    window = scene.view.region(t)
    boxes = [_shown(actor.box(t, scene.aspect), window) for actor in actors]
    sprites = [
        sprite(actor, scene.style, box, t, width, height)
        for actor, box in zip(actors, boxes, strict=True)
    ]
    shares = _visible(sprites, width, height)
    rows = zip(actors, boxes, shares, strict=True)
    seen = tuple(_seen(*row, t, window.size) for row in rows)
    return GroundTruth(t, seen, tuple(_signs(scene, t)))


def scene_events(
    scene: Scene, start: float, end: float, step: float = 0.1
) -> tuple[SceneEvent, ...]:
    """What happened within (start, end], in order, found to `step` seconds.

    An actor enters when it becomes plainly visible having been as good as invisible, and leaves
    the other way round; a bag is left behind when its bearer sets it down; who falls lies at once.
    """
    happened: list[SceneEvent] = []
    inside: dict[int, bool] = {}
    for index in range(round((end - start) / step) + 1):
        t = start + index * step
        for seen in ground_truth(scene, t).actors:
            was = inside.get(
                seen.identity, index == 0 and not seen.visible_fraction < BARELY_VISIBLE
            )
            now = seen.clearly_visible or (was and seen.visible_fraction >= BARELY_VISIBLE)
            if now != was and index:
                what = SceneEventKind.ENTER if now else SceneEventKind.LEAVE
                happened.append(SceneEvent(t, what, seen.identity, seen.kind))
            inside[seen.identity] = now
        happened += [event for event in _mishaps(scene, t) if index and t - step < event.time]
    return tuple(happened)


def _mishaps(scene: Scene, t: float) -> Iterator[SceneEvent]:
    """What has befallen those who are there, up to `t`."""
    for actor in scene.actors_at(t):
        fell = actor.lying_span[0] if actor.lying_span else None
        for what, time in (
            (SceneEventKind.LEFT_BEHIND, actor.drop_time),
            (SceneEventKind.FALL, fell),
        ):
            if time is not None and time <= t:
                yield SceneEvent(time, what, actor.identity, actor.kind)


def _seen(actor: Actor, box: Box, visible: float, t: float, size: float) -> ActorState:
    across, down = actor.velocity(t)
    velocity = across / size, down / size
    kind = actor.kind
    return ActorState(actor.identity, kind, actor.colour, box, visible, velocity, actor.is_lying(t))


def _signs(scene: Scene, t: float) -> Iterator[EffectState]:
    window = scene.view.region(t)
    for effect in scene.effects_at(t):
        strength = effect.strength(t)
        if strength or effect.kind is EffectKind.LAMP:
            yield EffectState(effect.kind, _shown(effect.box(scene.aspect), window), strength)


def _shown(box: Box, window: ViewRegion) -> Box:
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
