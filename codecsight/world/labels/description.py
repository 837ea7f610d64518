"""Scene descriptions: "one person in red walking left, a white car standing, smoke"."""

from collections.abc import Callable, Sequence

from codecsight.world.labels.ground_truth import ActorState, GroundTruth
from codecsight.world.labels.predicates import (
    by_identity,
    effect_visible,
    moved,
    ran,
    stood,
    walked,
    was_lying,
)
from codecsight.world.scene.actor import ActorKind
from codecsight.world.scene.effects import EffectKind

# These words are in the tokenizer and in the trained model's answers: they must not change.
NUMBER_WORDS = ("no", "one", "two", "three", "four")
EMPTY_DESCRIPTION = "nothing"


def describe_scene(window: Sequence[GroundTruth]) -> str | None:
    """The description of the last sample; None if any part of it is ambiguous.

    It lists people, cars, bags, smoke and fire in this order, as far as present. A single person
    or car is given with its colour and motion, several only with their number.
    """
    now, before = window[-1], by_identity(window[-2].actors)
    clauses = [
        _clause(now, before, ActorKind.PERSON, "people", _person),
        _clause(now, before, ActorKind.VEHICLE, "cars", _car),
        _clause(now, before, ActorKind.BAG, "bags", lambda _before, _bag: "a bag"),
        *(
            {"yes": kind.value, "no": "", None: None}[effect_visible(kind, now)]
            for kind in _EFFECTS
        ),
    ]
    if None in clauses:
        return None
    return ", ".join(clause for clause in clauses if clause) or EMPTY_DESCRIPTION


_EFFECTS = (EffectKind.SMOKE, EffectKind.FIRE)
_Single = Callable[[ActorState | None, ActorState], str | None]


def _clause(
    now: GroundTruth, before: dict[int, ActorState], kind: ActorKind, plural: str, single: _Single
) -> str | None:
    """The clause for one kind of actor: empty if there is none, None if ambiguous."""
    clear = now.clearly_visible(kind)
    if now.ambiguous(kind) or len(clear) >= len(NUMBER_WORDS):
        return None
    if len(clear) == 1:
        return single(before.get(clear[0].identity), clear[0])
    return f"{NUMBER_WORDS[len(clear)]} {plural}" if clear else ""


def _person(before: ActorState | None, now: ActorState) -> str | None:
    activity = "" if before is None else _activity(before, now)
    return f"one person in {now.colour} {activity}" if activity else None


def _activity(before: ActorState, now: ActorState) -> str:
    direction = "left" if now.velocity[0] < 0 else "right"
    for predicate, activity in ((was_lying, "lying"), (stood, "standing")):
        if predicate(before, now):
            return activity
    for predicate, activity in ((ran, "running"), (walked, "walking")):
        if predicate(before, now):
            return f"{activity} {direction}"
    return ""


def _car(before: ActorState | None, now: ActorState) -> str | None:
    moves = None if before is None else moved(0)(before, now)
    if moves is None:
        return None
    direction = "left" if now.velocity[0] < 0 else "right"
    return f"a {now.colour} car {f'moving {direction}' if moves else 'standing'}"
