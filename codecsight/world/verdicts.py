"""Whether something is true of one actor, None where people could disagree, and what follows for
all of them.
"""

from collections.abc import Callable, Iterable, Sequence

from codecsight.world.actor import RUNNING, Box
from codecsight.world.effects import EffectKind
from codecsight.world.truth import Seen, Truth

# Between these many picture widths per second somebody neither stands nor moves.
SLOW, MOVING = 0.005, 0.035
# ... and from here to where running begins one neither walks nor runs.
WALKING = 0.21
# Of an effect less than this is as good as nothing, and from there on it's plain.
TRACE, PLAIN = 0.02, 0.7

Verdict = Callable[[Seen, Seen], bool | None]


def any_of(found: Iterable[bool | None]) -> str | None:
    """Yes if it is true of one; no if it is surely true of none."""
    told = list(found)
    if True in told:
        return "yes"
    return None if None in told else "no"


def goes(sign: int) -> Verdict:
    """Whether it moved towards `sign` (0: either way) between two samples."""

    def verdict(was: Seen, now: Seen) -> bool | None:
        speeds = [seen.velocity[0] * sign if sign else abs(seen.velocity[0]) for seen in (was, now)]
        if now.clear and min(speeds) >= MOVING:
            return True
        return False if max(speeds) <= SLOW else None

    return verdict


def walks(was: Seen, now: Seen) -> bool | None:
    """Whether it walked; to call a runner a walker is a matter of taste."""
    moves = goes(0)(was, now)
    return None if moves and max(_speeds(was, now)) > WALKING else moves


def runs(was: Seen, now: Seen) -> bool | None:
    """Whether it ran."""
    speeds = _speeds(was, now)
    if now.clear and min(speeds) >= RUNNING:
        return True
    return False if max(speeds) <= WALKING else None


def stands(was: Seen, now: Seen) -> bool | None:
    """Whether it stood upright where it was."""
    if was.lies and now.lies:
        return False
    moves = goes(0)(was, now)
    if moves is False and now.clear:
        return None if was.lies or now.lies else True
    return False if moves else None


def lies(was: Seen, now: Seen) -> bool | None:
    """Whether it lay on the ground."""
    if was.lies != now.lies:
        return None
    return (True if now.clear else None) if now.lies else False


def shows(kind: EffectKind, now: Truth) -> str | None:
    """Whether there is an effect of that kind."""
    signs = [sign for sign in now.signs if sign.kind is kind and sign.strength > TRACE]
    return any_of(
        True if sign.strength >= PLAIN and not hidden(sign.box, now) else None for sign in signs
    )


def hidden(box: Box, moment: Truth) -> bool:
    """Whether somebody stands before the middle of `box`."""
    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
    return any(
        seen.box.left <= x <= seen.box.right and seen.box.top <= y <= seen.box.bottom
        for seen in moment.actors
    )


def by_identity(seen: Sequence[Seen]) -> dict[int, Seen]:
    """Everyone, to be looked up."""
    return {each.identity: each for each in seen}


def _speeds(was: Seen, now: Seen) -> list[float]:
    return [abs(seen.velocity[0]) for seen in (was, now)]
