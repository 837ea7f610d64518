"""Whether something is true of one actor, None where people could disagree, and what follows for
all of them.
"""

from collections.abc import Callable, Iterable, Sequence

from codecsight.world.labels.ground_truth import ActorState, GroundTruth
from codecsight.world.scene.actor import MIN_RUNNING_SPEED, Box
from codecsight.world.scene.effects import EffectKind

# Between these many picture widths per second somebody neither stands nor moves.
MAX_STILL_SPEED, MIN_MOVING_SPEED = 0.005, 0.035
# ... and from here to where running begins one neither walks nor runs.
MAX_WALKING_SPEED = 0.21
# Of an effect less than this is as good as nothing, and from there on it's plain.
EFFECT_TRACE, EFFECT_CLEAR = 0.02, 0.7

Predicate = Callable[[ActorState, ActorState], bool | None]


def any_true(found: Iterable[bool | None]) -> str | None:
    """Yes if it is true of one; no if it is surely true of none."""
    told = list(found)
    if True in told:
        return "yes"
    return None if None in told else "no"


def moved(sign: int) -> Predicate:
    """Whether it moved towards `sign` (0: either way) between two samples."""

    def predicate(was: ActorState, now: ActorState) -> bool | None:
        speeds = [seen.velocity[0] * sign if sign else abs(seen.velocity[0]) for seen in (was, now)]
        if now.clearly_visible and min(speeds) >= MIN_MOVING_SPEED:
            return True
        return False if max(speeds) <= MAX_STILL_SPEED else None

    return predicate


def walked(was: ActorState, now: ActorState) -> bool | None:
    """Whether it walked; to call a runner a walker is a matter of taste."""
    moves = moved(0)(was, now)
    return None if moves and max(_speeds(was, now)) > MAX_WALKING_SPEED else moves


def ran(was: ActorState, now: ActorState) -> bool | None:
    """Whether it ran."""
    speeds = _speeds(was, now)
    if now.clearly_visible and min(speeds) >= MIN_RUNNING_SPEED:
        return True
    return False if max(speeds) <= MAX_WALKING_SPEED else None


def stood(was: ActorState, now: ActorState) -> bool | None:
    """Whether it stood upright where it was."""
    if was.lying and now.lying:
        return False
    moves = moved(0)(was, now)
    if moves is False and now.clearly_visible:
        return None if was.lying or now.lying else True
    return False if moves else None


def was_lying(was: ActorState, now: ActorState) -> bool | None:
    """Whether it lay on the ground."""
    if was.lying != now.lying:
        return None
    return (True if now.clearly_visible else None) if now.lying else False


def effect_visible(kind: EffectKind, now: GroundTruth) -> str | None:
    """Whether there is an effect of that kind."""
    signs = [sign for sign in now.effects if sign.kind is kind and sign.strength > EFFECT_TRACE]
    return any_true(
        True if sign.strength >= EFFECT_CLEAR and not occluded(sign.box, now) else None
        for sign in signs
    )


def occluded(box: Box, moment: GroundTruth) -> bool:
    """Whether somebody stands before the middle of `box`."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return any(
        seen.box.left <= x <= seen.box.right and seen.box.top <= y <= seen.box.bottom
        for seen in moment.actors
    )


def by_identity(seen: Sequence[ActorState]) -> dict[int, ActorState]:
    """Everyone, to be looked up."""
    return {each.identity: each for each in seen}


def _speeds(was: ActorState, now: ActorState) -> list[float]:
    return [abs(seen.velocity[0]) for seen in (was, now)]
