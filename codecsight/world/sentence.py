"""A scene in a sentence: "one person in red walking left, a white car standing, smoke"."""

from collections.abc import Callable, Sequence

from codecsight.world.actor import Kind
from codecsight.world.effects import EffectKind
from codecsight.world.truth import Seen, Truth
from codecsight.world.verdicts import by_identity, goes, lies, runs, shows, stands, walks

NUMBERS = ("no", "one", "two", "three", "four")
NOTHING = "nothing"


def describe(window: Sequence[Truth]) -> str | None:
    """People, cars, bags, smoke and fire, in this order, each where there is any. What the only
    person or car does, and its colour, is told too. None where any of it is in doubt.
    """
    now, before = window[-1], by_identity(window[-2].actors)
    clauses = [
        _some(now, before, Kind.PERSON, "people", _person),
        _some(now, before, Kind.VEHICLE, "cars", _car),
        _some(now, before, Kind.BAG, "bags", lambda _was, _bag: "a bag"),
        *({"yes": kind.value, "no": "", None: None}[shows(kind, now)] for kind in _SIGNS),
    ]
    if None in clauses:
        return None
    return ", ".join(clause for clause in clauses if clause) or NOTHING


_SIGNS = (EffectKind.SMOKE, EffectKind.FIRE)
_Clause = Callable[[Seen | None, Seen], str | None]


def _some(
    now: Truth, before: dict[int, Seen], kind: Kind, many: str, single: _Clause
) -> str | None:
    clear = now.clear(kind)
    if now.unsure(kind) or len(clear) >= len(NUMBERS):
        return None
    if len(clear) == 1:
        return single(before.get(clear[0].identity), clear[0])
    return f"{NUMBERS[len(clear)]} {many}" if clear else ""


def _person(was: Seen | None, now: Seen) -> str | None:
    does = "" if was is None else _doing(was, now)
    return f"one person in {now.colour} {does}" if does else None


def _doing(was: Seen, now: Seen) -> str:
    way = "left" if now.velocity[0] < 0 else "right"
    for verdict, does in ((lies, "lying"), (stands, "standing")):
        if verdict(was, now):
            return does
    for verdict, does in ((runs, "running"), (walks, "walking")):
        if verdict(was, now):
            return f"{does} {way}"
    return ""


def _car(was: Seen | None, now: Seen) -> str | None:
    moves = None if was is None else goes(0)(was, now)
    if moves is None:
        return None
    way = "left" if now.velocity[0] < 0 else "right"
    return f"a {now.colour} car {f'moving {way}' if moves else 'standing'}"
