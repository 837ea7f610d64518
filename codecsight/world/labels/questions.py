"""Questions about a window of a scene, with their true answers.

A window is a list of sampled moments. Questions about the present refer to the last sample,
questions about motion to the last two, and "did .." questions compare the first with the last.
Ambiguous cases (a person half hidden, a motion that just began) are not asked; see `answer_rules`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codecsight.core.question import Question, QuestionKind
from codecsight.world.labels.answer_rules import ANSWER_RULES
from codecsight.world.labels.ground_truth import GroundTruth, ground_truth
from codecsight.world.scene.actor import COLOURS
from codecsight.world.scene.scene import Scene

# The wordings of each topic; the first one is the default. The model was trained on exactly these
# texts: they must not change.
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
    "standing": ("Is anyone standing still?", "Is a person standing still?"),
    "running": ("Is anyone running?", "Is a person running?"),
    "lying": ("Is someone lying on the ground?", "Is anyone lying on the ground?"),
    "fall": ("Did someone fall?", "Did anyone fall?", "Did a person fall?"),
    "left-behind": ("Was a bag left behind?", "Is there a bag left behind?"),
    "on-left": ("Is there a person on the left?", "Is anyone on the left?"),
    "on-right": ("Is there a person on the right?", "Is anyone on the right?"),
    "enter-left": ("Did someone enter the left side?", "Did anyone enter the left side?"),
    "leave-left": ("Did someone leave the left side?", "Did anyone leave the left side?"),
    "enter-right": ("Did someone enter the right side?", "Did anyone enter the right side?"),
    "leave-right": ("Did someone leave the right side?", "Did anyone leave the right side?"),
    "smoke": ("Is there smoke?", "Do you see smoke?"),
    "fire": ("Is there fire?", "Is there a fire?", "Do you see fire?"),
    "changed": ("Did the scene change?", "Was a lamp switched?"),
    "describe": ("Describe the scene.", "What do you see?", "What is there?"),
}


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """A question of one topic and its true answer, which is one of its options if it has any."""

    topic: str
    question: Question
    answer: str


def label_questions(scene: Scene, times: Sequence[float]) -> tuple[LabelledQuestion, ...]:
    """All unambiguous questions about the window sampled at `times` (at least two).

    Each topic comes at most once, in its default wording.
    """
    return label_window([ground_truth(scene, t) for t in times])


def label_window(window: Sequence[GroundTruth]) -> tuple[LabelledQuestion, ...]:
    """Like `label_questions`, for a window whose ground truth is known."""
    return tuple(_labelled(window))


def topic_question(topic: str, wording: int = 0) -> Question:
    """The question of that topic in one of its wordings (modulo their number)."""
    text = WORDINGS[topic][wording % len(WORDINGS[topic])]
    if topic in ("people", "vehicles"):
        return Question(text, QuestionKind.COUNT)
    if topic in ("shirt", "paint"):
        return Question(text, QuestionKind.CHOICE, tuple(COLOURS))
    return Question(text, QuestionKind.TEXT if topic == "describe" else QuestionKind.YES_NO)


def _labelled(window: Sequence[GroundTruth]) -> Iterator[LabelledQuestion]:
    for topic, rule in ANSWER_RULES.items():
        answer = rule(window)
        if answer is not None:
            yield LabelledQuestion(topic, topic_question(topic), answer)
