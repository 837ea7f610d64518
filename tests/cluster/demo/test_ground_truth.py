"""Scores of the demo's answers against the ground truth of its cameras."""

from cluster.demo.ground_truth import score_answers
from cluster.demo.plan import WORLD_STREAMS
from codecsight.core.answer import Answer
from codecsight.world.labels.questions import label_questions
from codecsight.world.source import WorldCamera

STREAM = "demo.yard"
SCENE = WorldCamera.parse(WORLD_STREAMS[STREAM]).scene


def _answers(question: str, value: bool, stream: str = STREAM) -> list[Answer]:
    return [
        Answer(stream, question, value, 0.9, end - 3.0, end, 1e9, 1.0, 1, 1)
        for end in range(4, 64, 2)
    ]


def test_a_constant_yes_is_right_exactly_where_the_truth_is_yes() -> None:
    score = score_answers(_answers("Is there a person?", True), WORLD_STREAMS)["Is there a person?"]
    truths = [
        label.answer
        for end in range(4, 64, 2)
        for label in label_questions(SCENE, [end - 0.5, float(end)])
        if label.topic == "person"
    ]
    assert 0 < score.checked == len(truths)
    assert score.right == truths.count("yes") < len(truths)
    assert score.best_constant == max(truths.count("yes"), truths.count("no"))


def test_constant_yes_and_constant_no_are_right_in_complementary_windows() -> None:
    yes, no = (
        score_answers(_answers("Is there a person?", value), WORLD_STREAMS)["Is there a person?"]
        for value in (True, False)
    )
    assert yes.right + no.right == yes.checked == no.checked


def test_answers_without_ground_truth_are_not_scored() -> None:
    assert score_answers(_answers("Is the gate open?", True), WORLD_STREAMS) == {}
    assert score_answers(_answers("Is there a person?", True, "demo.gate"), WORLD_STREAMS) == {}
