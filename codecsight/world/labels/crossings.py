"""Who came into the picture or one side of it, and who went."""

from collections.abc import Sequence
from itertools import pairwise

from codecsight.world.labels.ground_truth import (
    BARELY_VISIBLE,
    CLEARLY_VISIBLE,
    ActorState,
    GroundTruth,
)
from codecsight.world.labels.predicates import any_true
from codecsight.world.scene.actor import ActorKind

# Samples in the shortest window in which something can come about.
MIN_SAMPLES = 4
# So near to the middle (of the width) somebody is on neither side.
_BETWEEN = 0.05


def entered(window: Sequence[GroundTruth]) -> str | None:
    """Somebody plainly there at the last sample who wasn't at all at the first."""
    if len(window) < MIN_SAMPLES:
        return None
    people = {seen.identity for moment in window for seen in moment.of_kind(ActorKind.PERSON)}
    return any_true(_came(window, who) for who in people)


def entered_side(sign: int, window: Sequence[GroundTruth]) -> str | None:
    """Somebody plainly on the left (`sign` -1) or right (1) at the last sample who at the first was
    on the other side or not there at all.
    """
    if len(window) < MIN_SAMPLES:
        return None
    people = {seen.identity for moment in window for seen in moment.of_kind(ActorKind.PERSON)}
    return any_true(_crossed([_inside(sign, moment, who) for moment in window]) for who in people)


def on_side(sign: int, now: GroundTruth) -> str | None:
    """Somebody plainly on the left (-1) or right (1)."""
    return any_true(_inside(sign, now, seen.identity) for seen in now.of_kind(ActorKind.PERSON))


def _came(window: Sequence[GroundTruth], who: int) -> bool | None:
    shares = [moment.visible_fraction(who) for moment in window]
    if max(shares) < BARELY_VISIBLE or shares[0] >= CLEARLY_VISIBLE:
        return False
    boxes = [seen.box for moment in window for seen in moment.actors if seen.identity == who]
    over_the_edge = any(box.left < 0 or box.right > 1 for box in boxes)
    return (
        True
        if over_the_edge and shares[0] < BARELY_VISIBLE and shares[-1] >= CLEARLY_VISIBLE
        else None
    )


def _crossed(inside: Sequence[bool | None]) -> bool | None:
    """Whether it was outside at first and inside at last; who came and went again is not judged."""
    if inside[0] is None or inside[-1] is None:
        return None
    sure = [each for each in inside if each is not None]
    if not inside[0] and inside[-1]:
        return True
    return None if any(after and not before for before, after in pairwise(sure)) else False


def _inside(sign: int, moment: GroundTruth, who: int) -> bool | None:
    seen = next((seen for seen in moment.actors if seen.identity == who), None)
    if seen is None:
        return False
    middle = _middle(seen)
    if seen.visible_fraction < BARELY_VISIBLE:
        return None if 0 < middle < 1 else False
    depth = (middle - 0.5) * sign
    if abs(depth) < _BETWEEN:
        return None
    return depth > 0 and (seen.clearly_visible or None)


def _middle(seen: ActorState) -> float:
    return (seen.box.left + seen.box.right) / 2
