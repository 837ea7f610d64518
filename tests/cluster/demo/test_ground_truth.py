"""A demo's answers are held against what its cameras really showed."""

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


def test_somebody_who_always_says_yes_is_right_when_it_is_so() -> None:
    score = score_answers(_answers("Is there a person?", True), WORLD_STREAMS)["Is there a person?"]
    truths = [
        asked.answer
        for end in range(4, 64, 2)
        for asked in label_questions(SCENE, [end - 0.5, float(end)])
        if asked.topic == "person"
    ]
    assert 0 < score.checked == len(truths)
    assert score.right == truths.count("yes") < len(truths)
    assert score.best_constant == max(truths.count("yes"), truths.count("no"))


def test_the_opposite_is_right_the_other_times() -> None:
    yes, no = (
        score_answers(_answers("Is there a person?", value), WORLD_STREAMS)["Is there a person?"]
        for value in (True, False)
    )
    assert yes.right + no.right == yes.checked == no.checked


def test_what_has_no_known_truth_is_not_scored() -> None:
    assert score_answers(_answers("Is the gate open?", True), WORLD_STREAMS) == {}
    assert score_answers(_answers("Is there a person?", True, "demo.gate"), WORLD_STREAMS) == {}
