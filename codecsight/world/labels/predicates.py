"""Three-valued predicates over actors and effects: True, False, or None if ambiguous.

A case is ambiguous when human annotators could disagree. Such cases are not asked about, so
neither training nor evaluation has questionable labels.
"""

from collections.abc import Callable, Iterable, Sequence

from codecsight.world.labels.ground_truth import ActorState, GroundTruth
from codecsight.world.scene.actor import MIN_RUNNING_SPEED, Box
from codecsight.world.scene.effects import EffectKind

# Speeds in picture widths per second. Up to the first an actor stands, from the second on it
# moves; in between it is ambiguous.
MAX_STILL_SPEED, MIN_MOVING_SPEED = 0.005, 0.035
# From here to MIN_RUNNING_SPEED it is ambiguous whether a person walks or runs.
MAX_WALKING_SPEED = 0.21
# Strengths of an effect: up to the first it is invisible, from the second on clearly visible.
EFFECT_TRACE, EFFECT_CLEAR = 0.02, 0.7

Predicate = Callable[[ActorState, ActorState], bool | None]


def any_true(values: Iterable[bool | None]) -> str | None:
    """Reduce over all actors: "yes" if any is True, "no" if all are False, else None."""
    results = list(values)
    if True in results:
        return "yes"
    return None if None in results else "no"


def moved(sign: int) -> Predicate:
    """Predicate: the actor moved in direction `sign` (0: either) between two samples."""

    def predicate(before: ActorState, now: ActorState) -> bool | None:
        speeds = [
            each.velocity[0] * sign if sign else abs(each.velocity[0]) for each in (before, now)
        ]
        if now.clearly_visible and min(speeds) >= MIN_MOVING_SPEED:
            return True
        return False if max(speeds) <= MAX_STILL_SPEED else None

    return predicate


def walked(before: ActorState, now: ActorState) -> bool | None:
    """Whether it walked. A runner is ambiguous, as some would call that walking."""
    moves = moved(0)(before, now)
    return None if moves and max(_speeds(before, now)) > MAX_WALKING_SPEED else moves


def ran(before: ActorState, now: ActorState) -> bool | None:
    """Whether it ran."""
    speeds = _speeds(before, now)
    if now.clearly_visible and min(speeds) >= MIN_RUNNING_SPEED:
        return True
    return False if max(speeds) <= MAX_WALKING_SPEED else None


def stood(before: ActorState, now: ActorState) -> bool | None:
    """Whether it stood upright without moving."""
    if before.lying and now.lying:
        return False
    moves = moved(0)(before, now)
    if moves is False and now.clearly_visible:
        return None if before.lying or now.lying else True
    return False if moves else None


def was_lying(before: ActorState, now: ActorState) -> bool | None:
    """Whether it lay on the ground."""
    if before.lying != now.lying:
        return None
    return (True if now.clearly_visible else None) if now.lying else False


def effect_visible(kind: EffectKind, now: GroundTruth) -> str | None:
    """Whether an effect of that kind is visible: "yes", "no" or None if ambiguous."""
    effects = [each for each in now.effects if each.kind is kind and each.strength > EFFECT_TRACE]
    return any_true(
        True if each.strength >= EFFECT_CLEAR and not occluded(each.box, now) else None
        for each in effects
    )


def occluded(box: Box, now: GroundTruth) -> bool:
    """Whether an actor's box covers the centre of `box`."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return any(
        actor.box.left <= x <= actor.box.right and actor.box.top <= y <= actor.box.bottom
        for actor in now.actors
    )


def by_identity(actors: Sequence[ActorState]) -> dict[int, ActorState]:
    """The actors as a dictionary by identity."""
    return {actor.identity: actor for actor in actors}


def _speeds(before: ActorState, now: ActorState) -> list[float]:
    return [abs(each.velocity[0]) for each in (before, now)]
