"""Ground truth of a scene at one moment: boxes, colours, visibility, motion and effects."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from codecsight.world.rendering.sprites import Sprite, rasterize
from codecsight.world.scene.actor import Actor, ActorKind, Box
from codecsight.world.scene.effects import EffectKind
from codecsight.world.scene.scene import Scene
from codecsight.world.scene.view import ViewRegion

# Visible fraction of an actor's shape from which it is clearly visible, and below which it is
# practically invisible. In between it is ambiguous, and no question depends on it.
CLEARLY_VISIBLE = 0.55
BARELY_VISIBLE = 0.12
# Height in pixels of the raster on which visible fractions are counted.
_RASTER_HEIGHT = 120


@dataclass(frozen=True, slots=True)
class ActorState:
    """One actor at one moment.

    `visible_fraction` is the share of its shape that is inside the picture and not hidden by
    another actor. `velocity` is its own motion in picture widths and heights per second, without
    the camera's. `lying` tells whether it lies on the ground.
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
        """Whether every human annotator would see it."""
        return self.visible_fraction >= CLEARLY_VISIBLE

    @property
    def ambiguous(self) -> bool:
        """Whether human annotators could disagree on seeing it."""
        return BARELY_VISIBLE <= self.visible_fraction < CLEARLY_VISIBLE


@dataclass(frozen=True, slots=True)
class EffectState:
    """A lamp, smoke or fire at one moment.

    `strength` goes from 0 (invisible) to 1 (fully developed). `box` is its largest extent.
    """

    kind: EffectKind
    box: Box
    strength: float


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """All actors and effects at `time`.

    `actors` are those that exist, farthest first, visible or not. `effects` are all lamps, lit or
    not, and the smoke and fires, always in the same order. Boxes are fractions of the picture as
    the camera, which may pan and zoom, shows it at that time.
    """

    time: float
    actors: tuple[ActorState, ...]
    effects: tuple[EffectState, ...] = ()

    def of_kind(self, kind: ActorKind) -> tuple[ActorState, ...]:
        """The actors of one kind."""
        return tuple(actor for actor in self.actors if actor.kind is kind)

    def clearly_visible(self, kind: ActorKind) -> tuple[ActorState, ...]:
        """The clearly visible actors of one kind."""
        return tuple(actor for actor in self.of_kind(kind) if actor.clearly_visible)

    def ambiguous(self, kind: ActorKind) -> bool:
        """Whether an actor of that kind is half hidden, so that its presence is ambiguous."""
        return any(actor.ambiguous for actor in self.of_kind(kind))

    def visible_fraction(self, identity: int) -> float:
        """The visible fraction of one actor, 0 if it does not exist."""
        found = (actor.visible_fraction for actor in self.actors if actor.identity == identity)
        return next(found, 0.0)


def ground_truth(scene: Scene, t: float) -> GroundTruth:
    """The ground truth of the scene at `t`."""
    actors, region = scene.actors_at(t), scene.view.region(t)
    boxes = [_in_view(actor.box(t, scene.aspect), region) for actor in actors]
    fractions = _visible_fractions(scene, actors, boxes, t)
    states = tuple(
        _actor_state(actor, box, fraction, t, region.size)
        for actor, box, fraction in zip(actors, boxes, fractions, strict=True)
    )
    return GroundTruth(t, states, tuple(_effect_states(scene, t)))


def _actor_state(
    actor: Actor, box: Box, visible_fraction: float, t: float, region_size: float
) -> ActorState:
    across, down = actor.velocity(t)
    return ActorState(
        actor.identity,
        actor.kind,
        actor.colour,
        box,
        visible_fraction,
        (across / region_size, down / region_size),
        actor.is_lying(t),
    )


def _effect_states(scene: Scene, t: float) -> Iterator[EffectState]:
    region = scene.view.region(t)
    for effect in scene.effects_at(t):
        strength = effect.strength(t)
        if strength or effect.kind is EffectKind.LAMP:
            yield EffectState(effect.kind, _in_view(effect.box(scene.aspect), region), strength)


def _in_view(box: Box, region: ViewRegion) -> Box:
    """A box of the scene in fractions of the picture that shows this region."""
    return Box(
        (box.left - region.left) / region.size,
        (box.top - region.top) / region.size,
        (box.right - region.left) / region.size,
        (box.bottom - region.top) / region.size,
    )


def _visible_fractions(
    scene: Scene, actors: Sequence[Actor], boxes: Sequence[Box], t: float
) -> list[float]:
    """Rasterize the actors back to front and count the pixels that remain visible of each."""
    height, width = _RASTER_HEIGHT, round(_RASTER_HEIGHT * scene.aspect)
    sprites = [
        rasterize(actor, scene.style, box, t, width, height)
        for actor, box in zip(actors, boxes, strict=True)
    ]
    counts = _visible_pixels(sprites, width, height)
    return [
        float(count / max(1, (sprite.labels >= 0).sum()))
        for sprite, count in zip(sprites, counts, strict=True)
    ]


def _visible_pixels(sprites: Sequence[Sprite], width: int, height: int) -> list[int]:
    """Pixels of each sprite that are inside the picture and not covered by a later sprite."""
    owner = np.full((height, width), -1, np.int16)
    for index, sprite in enumerate(sprites):
        rows, cols, labels = sprite.clipped_to(width, height)
        owner[rows, cols][labels >= 0] = index
    return [int(n) for n in np.bincount(owner[owner >= 0], minlength=len(sprites))]
