"""A scene in a sentence: "one person in red walking left, a white car standing, smoke"."""

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

NUMBER_WORDS = ("no", "one", "two", "three", "four")
EMPTY_DESCRIPTION = "nothing"


def describe_scene(window: Sequence[GroundTruth]) -> str | None:
    """People, cars, bags, smoke and fire, in this order, each where there is any. What the only
    person or car does, and its colour, is told too. None where any of it is in doubt.
    """
    now, before = window[-1], by_identity(window[-2].actors)
    clauses = [
        _some(now, before, ActorKind.PERSON, "people", _person),
        _some(now, before, ActorKind.VEHICLE, "cars", _car),
        _some(now, before, ActorKind.BAG, "bags", lambda _was, _bag: "a bag"),
        *({"yes": kind.value, "no": "", None: None}[effect_visible(kind, now)] for kind in _SIGNS),
    ]
    if None in clauses:
        return None
    return ", ".join(clause for clause in clauses if clause) or EMPTY_DESCRIPTION


_SIGNS = (EffectKind.SMOKE, EffectKind.FIRE)
_Clause = Callable[[ActorState | None, ActorState], str | None]


def _some(
    now: GroundTruth, before: dict[int, ActorState], kind: ActorKind, many: str, single: _Clause
) -> str | None:
    clear = now.clearly_visible(kind)
    if now.ambiguous(kind) or len(clear) >= len(NUMBER_WORDS):
        return None
    if len(clear) == 1:
        return single(before.get(clear[0].identity), clear[0])
    return f"{NUMBER_WORDS[len(clear)]} {many}" if clear else ""


def _person(was: ActorState | None, now: ActorState) -> str | None:
    does = "" if was is None else _doing(was, now)
    return f"one person in {now.colour} {does}" if does else None


def _doing(was: ActorState, now: ActorState) -> str:
    way = "left" if now.velocity[0] < 0 else "right"
    for predicate, does in ((was_lying, "lying"), (stood, "standing")):
        if predicate(was, now):
            return does
    for predicate, does in ((ran, "running"), (walked, "walking")):
        if predicate(was, now):
            return f"{does} {way}"
    return ""


def _car(was: ActorState | None, now: ActorState) -> str | None:
    moves = None if was is None else moved(0)(was, now)
    if moves is None:
        return None
    way = "left" if now.velocity[0] < 0 else "right"
    return f"a {now.colour} car {f'moving {way}' if moves else 'standing'}"
