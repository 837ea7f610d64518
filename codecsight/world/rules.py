"""What is fair to ask of a window, and what is true: a rule for each topic, None where people could
disagree.
"""

from collections.abc import Callable, Iterable, Sequence

from codecsight.world.actor import Box, Kind
from codecsight.world.crossings import SHORTEST, entered, entered_side, on_side
from codecsight.world.effects import EffectKind
from codecsight.world.sentence import describe
from codecsight.world.truth import CLEAR, FAINT, Seen, Truth
from codecsight.world.verdicts import (
    PLAIN,
    TRACE,
    Verdict,
    any_of,
    by_identity,
    goes,
    hidden,
    lies,
    runs,
    shows,
    stands,
    walks,
)

Rule = Callable[[Sequence[Truth]], str | None]

_MOST = 4
# A bag is with somebody who stands this near (of the width, edge to edge), and alone from there on.
_WITH, _ALONE = 0.05, 0.15
# Feet this far apart (of the height) are not side by side.
_BESIDE = 0.12


def _presence(kind: Kind) -> Rule:
    def rule(window: Sequence[Truth]) -> str | None:
        now = window[-1]
        if now.clear(kind):
            return "yes"
        return None if now.unsure(kind) else "no"

    return rule


def _count(kind: Kind) -> Rule:
    def rule(window: Sequence[Truth]) -> str | None:
        now = window[-1]
        count = len(now.clear(kind))
        return None if now.unsure(kind) or count > _MOST else str(count)

    return rule


def _colour(kind: Kind) -> Rule:
    def rule(window: Sequence[Truth]) -> str | None:
        now = window[-1]
        clear = now.clear(kind)
        return clear[0].colour if len(clear) == 1 and not now.unsure(kind) else None

    return rule


def _lately(kinds: Iterable[Kind], verdict: Verdict) -> Rule:
    """What is true of any of `kinds` over the last two samples."""

    def rule(window: Sequence[Truth]) -> str | None:
        before = by_identity(window[-2].actors)
        shown = [s for s in window[-1].actors if s.kind in kinds and s.visible >= FAINT]
        known = [(before.get(seen.identity), seen) for seen in shown]
        return any_of(None if was is None else verdict(was, now) for was, now in known)

    return rule


def _fall(window: Sequence[Truth]) -> str | None:
    """Somebody plainly upright at the first sample and lying at the last. Who has got up since, or
    only came meanwhile, is not judged.
    """
    if len(window) < SHORTEST:
        return None
    start, end = by_identity(window[0].actors), by_identity(window[-1].actors)
    fallen = {seen.identity for moment in window for seen in moment.actors if seen.lies}
    return any_of(_fell(start.get(who), end.get(who)) for who in fallen)


def _fell(was: Seen | None, now: Seen | None) -> bool | None:
    if was is None or now is None or not was.clear or not now.clear or not now.lies:
        return None
    return not was.lies


def _left_behind(window: Sequence[Truth]) -> str | None:
    """A bag that lies there, nobody near it."""
    before, now = by_identity(window[-2].actors), window[-1]
    bags = [seen for seen in now.of(Kind.BAG) if seen.visible >= FAINT]
    people = [seen for seen in now.of(Kind.PERSON) if seen.visible >= FAINT]
    return any_of(_abandoned(bag, people, before) for bag in bags)


def _abandoned(bag: Seen, people: Sequence[Seen], before: dict[int, Seen]) -> bool | None:
    was = before.get(bag.identity)
    if was is not None and goes(0)(was, bag):
        return False
    if was is None or (was.velocity, bag.velocity) != ((0.0, 0.0), (0.0, 0.0)):
        return None
    if bag.clear and all(_gap(bag.box, person.box) >= _ALONE for person in people):
        return True
    return False if any(_attends(person, bag, before) for person in people) else None


def _attends(person: Seen, bag: Seen, before: dict[int, Seen]) -> bool:
    """Whether that person stands at the bag."""
    was = before.get(person.identity)
    beside = abs(bag.box.bottom - person.box.bottom) <= _BESIDE
    still = was is not None and person.clear and stands(was, person) is True
    return still and beside and _gap(bag.box, person.box) <= _WITH


def _gap(one: Box, other: Box) -> float:
    return max(one.left - other.right, other.left - one.right, 0.0)


def _changed(window: Sequence[Truth]) -> str | None:
    """Whether a lamp was switched. Whether smoke, fire or a bag that came or went changes a place
    would be a matter of taste.
    """
    first, last = window[0], window[-1]
    if len(window) < SHORTEST or _lasting(first) != _lasting(last):
        return None
    lamps = [[s for s in moment.signs if s.kind is EffectKind.LAMP] for moment in window]
    switched = {
        box
        for box, *shining in zip(
            [lamp.box for lamp in lamps[0]],
            *([lamp.strength for lamp in moment] for moment in lamps),
            strict=True,
        )
        if len(set(shining)) > 1
    }
    return any_of(None if hidden(box, first) or hidden(box, last) else True for box in switched)


def _lasting(moment: Truth) -> tuple[list[tuple[EffectKind, bool]], list[tuple[int, bool]]]:
    """The smoke, fire and bags there are."""
    signs: list[tuple[EffectKind, bool]] = [
        (sign.kind, sign.strength >= PLAIN)
        for sign in moment.signs
        if sign.kind is not EffectKind.LAMP and sign.strength > TRACE
    ]
    return signs, [(bag.identity, bag.visible >= CLEAR) for bag in moment.of(Kind.BAG)]


_THINGS, _PEOPLE = (Kind.PERSON, Kind.VEHICLE), (Kind.PERSON,)
RULES: dict[str, Rule] = {
    "person": _presence(Kind.PERSON),
    "vehicle": _presence(Kind.VEHICLE),
    "bag": _presence(Kind.BAG),
    "people": _count(Kind.PERSON),
    "vehicles": _count(Kind.VEHICLE),
    "shirt": _colour(Kind.PERSON),
    "paint": _colour(Kind.VEHICLE),
    "left": _lately(_THINGS, goes(-1)),
    "right": _lately(_THINGS, goes(1)),
    "moving": _lately(_THINGS, goes(0)),
    "walking": _lately(_PEOPLE, walks),
    "enter": entered,
    "leave": lambda window: entered(window[::-1]),
    "standing": _lately(_PEOPLE, stands),
    "running": _lately(_PEOPLE, runs),
    "lying": _lately(_PEOPLE, lies),
    "fall": _fall,
    "left-behind": _left_behind,
    "on-left": lambda window: on_side(-1, window[-1]),
    "on-right": lambda window: on_side(1, window[-1]),
    "enter-left": lambda window: entered_side(-1, window),
    "leave-left": lambda window: entered_side(-1, window[::-1]),
    "enter-right": lambda window: entered_side(1, window),
    "leave-right": lambda window: entered_side(1, window[::-1]),
    "smoke": lambda window: shows(EffectKind.SMOKE, window[-1]),
    "fire": lambda window: shows(EffectKind.FIRE, window[-1]),
    "changed": _changed,
    "describe": describe,
}
