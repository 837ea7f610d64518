"""The true answer to each topic's question about a window.

Each rule maps a window to an answer, or to None where human annotators could disagree; then the
question is not asked.
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

_MAX_COUNT = 4
# Horizontal gaps between a bag and a person, in picture widths: up to the first the bag is
# attended, from the second on it is abandoned; in between it is ambiguous.
_MAX_ATTENDED_GAP, _MIN_ABANDONED_GAP = 0.05, 0.15
# Vertical distance of feet, in picture heights, beyond which two actors are not side by side.
_MAX_FEET_DISTANCE = 0.12


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
        return None if now.ambiguous(kind) or count > _MAX_COUNT else str(count)

    return rule


def _colour(kind: ActorKind) -> AnswerRule:
    def rule(window: Sequence[GroundTruth]) -> str | None:
        now = window[-1]
        clear = now.clearly_visible(kind)
        return clear[0].colour if len(clear) == 1 and not now.ambiguous(kind) else None

    return rule


def _any_actor(kinds: Iterable[ActorKind], predicate: Predicate) -> AnswerRule:
    """Whether the predicate holds for any actor of `kinds` over the last two samples."""

    def rule(window: Sequence[GroundTruth]) -> str | None:
        before = by_identity(window[-2].actors)
        actors = [actor for actor in _visible(window[-1].actors) if actor.kind in kinds]
        pairs = [(before.get(actor.identity), actor) for actor in actors]
        return any_true(None if old is None else predicate(old, new) for old, new in pairs)

    return rule


def _visible(actors: Iterable[ActorState]) -> list[ActorState]:
    """The actors that are at least barely visible."""
    return [actor for actor in actors if actor.visible_fraction >= BARELY_VISIBLE]


def _fall(window: Sequence[GroundTruth]) -> str | None:
    """Whether a person was clearly upright at the first sample and lies at the last.

    Ambiguous for people who got up again or entered meanwhile.
    """
    if len(window) < MIN_SAMPLES:
        return None
    first, last = by_identity(window[0].actors), by_identity(window[-1].actors)
    fallen = {actor.identity for sample in window for actor in sample.actors if actor.lying}
    return any_true(_fell(first.get(identity), last.get(identity)) for identity in fallen)


def _fell(first: ActorState | None, last: ActorState | None) -> bool | None:
    if first is None or last is None or not last.lying:
        return None
    if not first.clearly_visible or not last.clearly_visible:
        return None
    return not first.lying


def _left_behind(window: Sequence[GroundTruth]) -> str | None:
    """Whether a bag lies on the ground with no person near it."""
    before, now = by_identity(window[-2].actors), window[-1]
    bags, people = (_visible(now.of_kind(kind)) for kind in (ActorKind.BAG, ActorKind.PERSON))
    return any_true(_abandoned(bag, people, before) for bag in bags)


def _abandoned(
    bag: ActorState, people: Sequence[ActorState], before: dict[int, ActorState]
) -> bool | None:
    old = before.get(bag.identity)
    if old is not None and moved(0)(old, bag):
        return False
    if old is None or (old.velocity, bag.velocity) != ((0.0, 0.0), (0.0, 0.0)):
        return None
    gaps = (_gap(bag.box, person.box) for person in people)
    if bag.clearly_visible and all(gap >= _MIN_ABANDONED_GAP for gap in gaps):
        return True
    return False if any(_attends(person, bag, before) for person in people) else None


def _attends(person: ActorState, bag: ActorState, before: dict[int, ActorState]) -> bool:
    """Whether that person clearly stands next to the bag."""
    old = before.get(person.identity)
    side_by_side = abs(bag.box.bottom - person.box.bottom) <= _MAX_FEET_DISTANCE
    stands = old is not None and person.clearly_visible and stood(old, person) is True
    return stands and side_by_side and _gap(bag.box, person.box) <= _MAX_ATTENDED_GAP


def _gap(one: Box, other: Box) -> float:
    return max(one.left - other.right, other.left - one.right, 0.0)


def _changed(window: Sequence[GroundTruth]) -> str | None:
    """Whether a lamp was switched.

    Ambiguous if smoke, fire or a bag appeared or disappeared: some would call that a change.
    """
    first, last = window[0], window[-1]
    if len(window) < MIN_SAMPLES or _lasting(first) != _lasting(last):
        return None
    lamps = [[e for e in sample.effects if e.kind is EffectKind.LAMP] for sample in window]
    # A lamp was switched if its strengths differ over the samples.
    switched = {
        box
        for box, *strengths in zip(
            [lamp.box for lamp in lamps[0]],
            *([lamp.strength for lamp in sample] for sample in lamps),
            strict=True,
        )
        if len(set(strengths)) > 1
    }
    return any_true(
        None if occluded(box, first) or occluded(box, last) else True for box in switched
    )


def _lasting(sample: GroundTruth) -> tuple[list[tuple[EffectKind, bool]], list[tuple[int, bool]]]:
    """Smoke and fire (with: clearly visible), and bags (with: clearly visible)."""
    effects: list[tuple[EffectKind, bool]] = [
        (effect.kind, effect.strength >= EFFECT_CLEAR)
        for effect in sample.effects
        if effect.kind is not EffectKind.LAMP and effect.strength > EFFECT_TRACE
    ]
    bags = sample.of_kind(ActorKind.BAG)
    return effects, [(bag.identity, bag.visible_fraction >= CLEARLY_VISIBLE) for bag in bags]


_MOBILE, _PEOPLE = (ActorKind.PERSON, ActorKind.VEHICLE), (ActorKind.PERSON,)
ANSWER_RULES: dict[str, AnswerRule] = {
    "person": _presence(ActorKind.PERSON),
    "vehicle": _presence(ActorKind.VEHICLE),
    "bag": _presence(ActorKind.BAG),
    "people": _count(ActorKind.PERSON),
    "vehicles": _count(ActorKind.VEHICLE),
    "shirt": _colour(ActorKind.PERSON),
    "paint": _colour(ActorKind.VEHICLE),
    "left": _any_actor(_MOBILE, moved(-1)),
    "right": _any_actor(_MOBILE, moved(1)),
    "moving": _any_actor(_MOBILE, moved(0)),
    "walking": _any_actor(_PEOPLE, walked),
    "enter": entered,
    "leave": lambda window: entered(window[::-1]),
    "standing": _any_actor(_PEOPLE, stood),
    "running": _any_actor(_PEOPLE, ran),
    "lying": _any_actor(_PEOPLE, was_lying),
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
