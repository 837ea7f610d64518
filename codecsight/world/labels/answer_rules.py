"""What is fair to ask of a window, and what is true: a rule for each topic, None where people could
disagree.
"""

from collections.abc import Callable, Iterable, Sequence

from codecsight.world.labels.crossings import MIN_SAMPLES, entered, entered_side, on_side
from codecsight.world.labels.description import describe_scene
from codecsight.world.labels.ground_truth import (
    BARELY_VISIBLE,
    CLEARLY_VISIBLE,
    ActorState,
    GroundTruth,
)
from codecsight.world.labels.predicates import (
    EFFECT_CLEAR,
    EFFECT_TRACE,
    Predicate,
    any_true,
    by_identity,
    effect_visible,
    moved,
    occluded,
    ran,
    stood,
    walked,
    was_lying,
)
from codecsight.world.scene.actor import ActorKind, Box
from codecsight.world.scene.effects import EffectKind

AnswerRule = Callable[[Sequence[GroundTruth]], str | None]

_MOST = 4
# A bag is with somebody who stands this near (of the width, edge to edge), and alone from there on.
_WITH, _ALONE = 0.05, 0.15
# Feet this far apart (of the height) are not side by side.
_BESIDE = 0.12


def _presence(kind: ActorKind) -> AnswerRule:
    def rule(window: Sequence[GroundTruth]) -> str | None:
        now = window[-1]
        if now.clearly_visible(kind):
            return "yes"
        return None if now.ambiguous(kind) else "no"

    return rule


def _count(kind: ActorKind) -> AnswerRule:
    def rule(window: Sequence[GroundTruth]) -> str | None:
        now = window[-1]
        count = len(now.clearly_visible(kind))
        return None if now.ambiguous(kind) or count > _MOST else str(count)

    return rule


def _colour(kind: ActorKind) -> AnswerRule:
    def rule(window: Sequence[GroundTruth]) -> str | None:
        now = window[-1]
        clear = now.clearly_visible(kind)
        return clear[0].colour if len(clear) == 1 and not now.ambiguous(kind) else None

    return rule


def _lately(kinds: Iterable[ActorKind], predicate: Predicate) -> AnswerRule:
    """What is true of any of `kinds` over the last two samples."""

    def rule(window: Sequence[GroundTruth]) -> str | None:
        before = by_identity(window[-2].actors)
        shown = [
            s for s in window[-1].actors if s.kind in kinds and s.visible_fraction >= BARELY_VISIBLE
        ]
        known = [(before.get(seen.identity), seen) for seen in shown]
        return any_true(None if was is None else predicate(was, now) for was, now in known)

    return rule


def _fall(window: Sequence[GroundTruth]) -> str | None:
    """Somebody plainly upright at the first sample and lying at the last. Who has got up since, or
    only came meanwhile, is not judged.
    """
    if len(window) < MIN_SAMPLES:
        return None
    start, end = by_identity(window[0].actors), by_identity(window[-1].actors)
    fallen = {seen.identity for moment in window for seen in moment.actors if seen.lying}
    return any_true(_fell(start.get(who), end.get(who)) for who in fallen)


def _fell(was: ActorState | None, now: ActorState | None) -> bool | None:
    if (
        was is None
        or now is None
        or not was.clearly_visible
        or not now.clearly_visible
        or not now.lying
    ):
        return None
    return not was.lying


def _left_behind(window: Sequence[GroundTruth]) -> str | None:
    """A bag that lies there, nobody near it."""
    before, now = by_identity(window[-2].actors), window[-1]
    bags = [seen for seen in now.of_kind(ActorKind.BAG) if seen.visible_fraction >= BARELY_VISIBLE]
    people = [
        seen for seen in now.of_kind(ActorKind.PERSON) if seen.visible_fraction >= BARELY_VISIBLE
    ]
    return any_true(_abandoned(bag, people, before) for bag in bags)


def _abandoned(
    bag: ActorState, people: Sequence[ActorState], before: dict[int, ActorState]
) -> bool | None:
    was = before.get(bag.identity)
    if was is not None and moved(0)(was, bag):
        return False
    if was is None or (was.velocity, bag.velocity) != ((0.0, 0.0), (0.0, 0.0)):
        return None
    if bag.clearly_visible and all(_gap(bag.box, person.box) >= _ALONE for person in people):
        return True
    return False if any(_attends(person, bag, before) for person in people) else None


def _attends(person: ActorState, bag: ActorState, before: dict[int, ActorState]) -> bool:
    """Whether that person stands at the bag."""
    was = before.get(person.identity)
    beside = abs(bag.box.bottom - person.box.bottom) <= _BESIDE
    still = was is not None and person.clearly_visible and stood(was, person) is True
    return still and beside and _gap(bag.box, person.box) <= _WITH


def _gap(one: Box, other: Box) -> float:
    return max(one.left - other.right, other.left - one.right, 0.0)


def _changed(window: Sequence[GroundTruth]) -> str | None:
    """Whether a lamp was switched. Whether smoke, fire or a bag that came or went changes a place
    would be a matter of taste.
    """
    first, last = window[0], window[-1]
    if len(window) < MIN_SAMPLES or _lasting(first) != _lasting(last):
        return None
    lamps = [[s for s in moment.effects if s.kind is EffectKind.LAMP] for moment in window]
    switched = {
        box
        for box, *shining in zip(
            [lamp.box for lamp in lamps[0]],
            *([lamp.strength for lamp in moment] for moment in lamps),
            strict=True,
        )
        if len(set(shining)) > 1
    }
    return any_true(
        None if occluded(box, first) or occluded(box, last) else True for box in switched
    )


def _lasting(moment: GroundTruth) -> tuple[list[tuple[EffectKind, bool]], list[tuple[int, bool]]]:
    """The smoke, fire and bags there are."""
    signs: list[tuple[EffectKind, bool]] = [
        (sign.kind, sign.strength >= EFFECT_CLEAR)
        for sign in moment.effects
        if sign.kind is not EffectKind.LAMP and sign.strength > EFFECT_TRACE
    ]
    return signs, [
        (bag.identity, bag.visible_fraction >= CLEARLY_VISIBLE)
        for bag in moment.of_kind(ActorKind.BAG)
    ]


_THINGS, _PEOPLE = (ActorKind.PERSON, ActorKind.VEHICLE), (ActorKind.PERSON,)
ANSWER_RULES: dict[str, AnswerRule] = {
    "person": _presence(ActorKind.PERSON),
    "vehicle": _presence(ActorKind.VEHICLE),
    "bag": _presence(ActorKind.BAG),
    "people": _count(ActorKind.PERSON),
    "vehicles": _count(ActorKind.VEHICLE),
    "shirt": _colour(ActorKind.PERSON),
    "paint": _colour(ActorKind.VEHICLE),
    "left": _lately(_THINGS, moved(-1)),
    "right": _lately(_THINGS, moved(1)),
    "moving": _lately(_THINGS, moved(0)),
    "walking": _lately(_PEOPLE, walked),
    "enter": entered,
    "leave": lambda window: entered(window[::-1]),
    "standing": _lately(_PEOPLE, stood),
    "running": _lately(_PEOPLE, ran),
    "lying": _lately(_PEOPLE, was_lying),
    "fall": _fall,
    "left-behind": _left_behind,
    "on-left": lambda window: on_side(-1, window[-1]),
    "on-right": lambda window: on_side(1, window[-1]),
    "enter-left": lambda window: entered_side(-1, window),
    "leave-left": lambda window: entered_side(-1, window[::-1]),
    "enter-right": lambda window: entered_side(1, window),
    "leave-right": lambda window: entered_side(1, window[::-1]),
    "smoke": lambda window: effect_visible(EffectKind.SMOKE, window[-1]),
    "fire": lambda window: effect_visible(EffectKind.FIRE, window[-1]),
    "changed": _changed,
    "describe": describe_scene,
}
