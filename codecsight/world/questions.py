"""Questions about a window of a scene, with the answers that are true.

A window is the list of its sampled moments. What is asked of "now" means the last one; motion means
the last two; coming and going means first against last. Where people could disagree (somebody half
hidden, a motion just begun) nothing is asked.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from codecsight.answers.question import Question, QuestionKind
from codecsight.world.actor import COLOURS, Kind
from codecsight.world.scene import Scene
from codecsight.world.truth import CLEAR, FAINT, Seen, Truth, truth

# Slower than this many picture widths per second is neither standing nor moving.
_SLOW, _MOVING = 0.005, 0.035
_MOST = 4

# The wordings of each topic; the first is the one to use where it doesn't matter.
WORDINGS: dict[str, tuple[str, ...]] = {
    "person": (
        "Is there a person?",
        "Is anyone there?",
        "Do you see a person?",
        "Is someone there?",
    ),
    "vehicle": ("Is there a vehicle?", "Is there a car?", "Do you see a car?"),
    "bag": ("Is there a bag?", "Do you see a bag?"),
    "people": ("How many people are there?", "How many people do you see?", "How many persons?"),
    "vehicles": ("How many cars are there?", "How many vehicles are there?"),
    "shirt": (
        "What colour is the person's shirt?",
        "What colour is the person?",
        "What color is the person's shirt?",
    ),
    "paint": ("What colour is the car?", "What color is the car?"),
    "left": ("Is anything moving left?", "Is something moving left?"),
    "right": ("Is anything moving right?", "Is something moving right?"),
    "moving": ("Is anything moving?", "Is something moving?"),
    "walking": ("Is anyone walking?", "Is a person walking?"),
    "enter": ("Did someone enter?", "Did a person enter?", "Did anyone come in?"),
    "leave": ("Did someone leave?", "Did a person leave?", "Did anyone go away?"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of one topic and its true answer, as one of the question's options."""

    topic: str
    question: Question
    answer: str


Rule = Callable[[Sequence[Truth]], str | None]


def ask(scene: Scene, times: Sequence[float]) -> tuple[Asked, ...]:
    """Everything that can fairly be asked of the window sampled at `times` (at least two), each
    topic once in its first wording.
    """
    return ask_of([truth(scene, t) for t in times])


def ask_of(window: Sequence[Truth]) -> tuple[Asked, ...]:
    """As `ask`, for a window whose truth is known."""
    return tuple(_asked(window))


def question(topic: str, wording: int = 0) -> Question:
    """The question of that topic in one of its wordings."""
    text = WORDINGS[topic][wording % len(WORDINGS[topic])]
    if topic in ("people", "vehicles"):
        return Question(text, QuestionKind.COUNT)
    if topic in ("shirt", "paint"):
        return Question(text, QuestionKind.CHOICE, tuple(COLOURS))
    return Question(text, QuestionKind.YES_NO)


def _asked(window: Sequence[Truth]) -> Iterator[Asked]:
    for topic, rule in _RULES.items():
        answer = rule(window)
        if answer is not None:
            yield Asked(topic, question(topic), answer)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


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


def _motion(kinds: tuple[Kind, ...], sign: int) -> Rule:
    """Motion of any of `kinds` towards `sign` (0: either way) over the last two samples."""

    def moves(before: Seen | None, now: Seen) -> bool | None:
        if before is None:
            return None
        speeds = [seen.velocity[0] * (sign or 1) for seen in (before, now)]
        if sign == 0:
            speeds = [abs(speed) for speed in speeds]
        if now.clear and all(speed >= _MOVING for speed in speeds):
            return True
        return False if all(speed <= _SLOW for speed in speeds) else None

    def rule(window: Sequence[Truth]) -> str | None:
        before = {seen.identity: seen for seen in window[-2].actors}
        shown = [s for s in window[-1].actors if s.kind in kinds and s.visible >= FAINT]
        found = [moves(before.get(seen.identity), seen) for seen in shown]
        if True in found:
            return "yes"
        return None if None in found else "no"

    return rule


def _crossing(first: int, last: int) -> Rule:
    """Somebody plainly there at sample `last` who wasn't at all at sample `first`."""

    def rule(window: Sequence[Truth]) -> str | None:
        if len(window) < 4:
            return None
        people = {seen.identity for moment in window for seen in moment.of(Kind.PERSON)}
        found = [_crossed(window, identity, first, last) for identity in people]
        if True in found:
            return "yes"
        return None if None in found else "no"

    return rule


def _crossed(window: Sequence[Truth], identity: int, first: int, last: int) -> bool | None:
    shares = [moment.visible(identity) for moment in window]
    if max(shares) < FAINT or shares[first] >= CLEAR:
        return False
    boxes = [seen.box for moment in window for seen in moment.actors if seen.identity == identity]
    over_the_edge = any(box.left < 0 or box.right > 1 for box in boxes)
    return True if over_the_edge and shares[first] < FAINT and shares[last] >= CLEAR else None


_THINGS = (Kind.PERSON, Kind.VEHICLE)
_RULES: dict[str, Rule] = {
    "person": _presence(Kind.PERSON),
    "vehicle": _presence(Kind.VEHICLE),
    "bag": _presence(Kind.BAG),
    "people": _count(Kind.PERSON),
    "vehicles": _count(Kind.VEHICLE),
    "shirt": _colour(Kind.PERSON),
    "paint": _colour(Kind.VEHICLE),
    "left": _motion(_THINGS, -1),
    "right": _motion(_THINGS, 1),
    "moving": _motion(_THINGS, 0),
    "walking": _motion((Kind.PERSON,), 0),
    "enter": _crossing(0, -1),
    "leave": _crossing(-1, 0),
}
