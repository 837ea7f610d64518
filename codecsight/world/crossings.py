"""Who came into the picture or one side of it, and who went."""

from collections.abc import Sequence
from itertools import pairwise

from codecsight.world.actor import Kind
from codecsight.world.truth import CLEAR, FAINT, Seen, Truth
from codecsight.world.verdicts import any_of

# Samples in the shortest window in which something can come about.
SHORTEST = 4
# So near to the middle (of the width) somebody is on neither side.
_BETWEEN = 0.05


def entered(window: Sequence[Truth]) -> str | None:
    """Somebody plainly there at the last sample who wasn't at all at the first."""
    if len(window) < SHORTEST:
        return None
    people = {seen.identity for moment in window for seen in moment.of(Kind.PERSON)}
    return any_of(_came(window, who) for who in people)


def entered_side(sign: int, window: Sequence[Truth]) -> str | None:
    """Somebody plainly on the left (`sign` -1) or right (1) at the last sample who at the first was
    on the other side or not there at all.
    """
    if len(window) < SHORTEST:
        return None
    people = {seen.identity for moment in window for seen in moment.of(Kind.PERSON)}
    return any_of(_crossed([_inside(sign, moment, who) for moment in window]) for who in people)


def on_side(sign: int, now: Truth) -> str | None:
    """Somebody plainly on the left (-1) or right (1)."""
    return any_of(_inside(sign, now, seen.identity) for seen in now.of(Kind.PERSON))


def _came(window: Sequence[Truth], who: int) -> bool | None:
    shares = [moment.visible(who) for moment in window]
    if max(shares) < FAINT or shares[0] >= CLEAR:
        return False
    boxes = [seen.box for moment in window for seen in moment.actors if seen.identity == who]
    over_the_edge = any(box.left < 0 or box.right > 1 for box in boxes)
    return True if over_the_edge and shares[0] < FAINT and shares[-1] >= CLEAR else None


def _crossed(inside: Sequence[bool | None]) -> bool | None:
    """Whether it was outside at first and inside at last; who came and went again is not judged."""
    if inside[0] is None or inside[-1] is None:
        return None
    sure = [each for each in inside if each is not None]
    if not inside[0] and inside[-1]:
        return True
    return None if any(after and not before for before, after in pairwise(sure)) else False


def _inside(sign: int, moment: Truth, who: int) -> bool | None:
    seen = next((seen for seen in moment.actors if seen.identity == who), None)
    if seen is None:
        return False
    middle = _middle(seen)
    if seen.visible < FAINT:
        return None if 0 < middle < 1 else False
    depth = (middle - 0.5) * sign
    if abs(depth) < _BETWEEN:
        return None
    return depth > 0 and (seen.clear or None)


def _middle(seen: Seen) -> float:
    return (seen.box.left + seen.box.right) / 2
