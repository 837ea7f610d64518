"""People who entered or left the picture, or one side of it, within a window."""

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

# Samples in the shortest window about which "did .." questions are asked.
MIN_SAMPLES = 4
# Distance from the middle, as a fraction of the width, within which a person is on neither side.
_MIDDLE_MARGIN = 0.05


def entered(window: Sequence[GroundTruth]) -> str | None:
    """Whether a person is clearly visible at the last sample who was invisible at the first."""
    if len(window) < MIN_SAMPLES:
        return None
    return any_true(_entered(window, identity) for identity in _people(window))


def entered_side(sign: int, window: Sequence[GroundTruth]) -> str | None:
    """Whether a person moved to the left side (`sign` -1) or the right side (1).

    The person is clearly on that side at the last sample. At the first sample they were on the
    other side or not in the picture.
    """
    if len(window) < MIN_SAMPLES:
        return None
    return any_true(
        _moved_inside([_inside(sign, sample, identity) for sample in window])
        for identity in _people(window)
    )


def on_side(sign: int, now: GroundTruth) -> str | None:
    """Whether a person is clearly on the left side (`sign` -1) or the right side (1)."""
    people = now.of_kind(ActorKind.PERSON)
    return any_true(_inside(sign, now, person.identity) for person in people)


def _people(window: Sequence[GroundTruth]) -> set[int]:
    return {person.identity for sample in window for person in sample.of_kind(ActorKind.PERSON)}


def _entered(window: Sequence[GroundTruth], identity: int) -> bool | None:
    fractions = [sample.visible_fraction(identity) for sample in window]
    if max(fractions) < BARELY_VISIBLE or fractions[0] >= CLEARLY_VISIBLE:
        return False
    boxes = [a.box for sample in window for a in sample.actors if a.identity == identity]
    # A person who was only hidden behind another actor did not enter.
    over_the_edge = any(box.left < 0 or box.right > 1 for box in boxes)
    came = fractions[0] < BARELY_VISIBLE and fractions[-1] >= CLEARLY_VISIBLE
    return True if over_the_edge and came else None


def _moved_inside(inside: Sequence[bool | None]) -> bool | None:
    """Whether the first sample was outside and the last one inside; None if ambiguous.

    A person who came in and went out again within the window is ambiguous.
    """
    if inside[0] is None or inside[-1] is None:
        return None
    known = [each for each in inside if each is not None]
    if not inside[0] and inside[-1]:
        return True
    return None if any(after and not before for before, after in pairwise(known)) else False


def _inside(sign: int, sample: GroundTruth, identity: int) -> bool | None:
    """Whether that person is on the side `sign` in one sample; None if ambiguous."""
    person = next((each for each in sample.actors if each.identity == identity), None)
    if person is None:
        return False
    middle = _middle(person)
    if person.visible_fraction < BARELY_VISIBLE:
        return None if 0 < middle < 1 else False
    depth = (middle - 0.5) * sign
    if abs(depth) < _MIDDLE_MARGIN:
        return None
    return depth > 0 and (person.clearly_visible or None)


def _middle(actor: ActorState) -> float:
    return (actor.box.left + actor.box.right) / 2
