from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from codecsight.answers.question import Question
from codecsight.world import TRAINING, Actor, Kind, Scene, Waypoint
from codecsight.world.questions import WORDINGS, ask, question


def actor(identity: int, kind: Kind, colour: str, *path: tuple[float, float]) -> Actor:
    """An actor that is at x at each (time, x)."""
    points = tuple(Waypoint(time, x, 0.6 + 0.1 * identity) for time, x in path)
    return Actor(identity, kind, colour, 0.25 if kind is Kind.PERSON else 0.18, points)


def answers(*actors: Actor, end: float = 5.0, samples: int = 6) -> dict[str, str]:
    scene = replace(Scene.random(1, "yard"), actors=actors, traffic=0.0)
    window = [end - 0.5 * (samples - 1 - n) for n in range(samples)]
    return {asked.topic: asked.answer for asked in ask(scene, window)}


STANDS = actor(1, Kind.PERSON, "red", (0, 0.3), (99, 0.3))
PARKED = actor(2, Kind.VEHICLE, "blue", (0, 0.7), (99, 0.7))
GOES_LEFT = actor(1, Kind.PERSON, "green", (0, 0.9), (9, 0.1))


def test_of_an_empty_place_every_presence_is_denied() -> None:
    told = answers()
    assert {told[topic] for topic in ("person", "vehicle", "bag", "moving", "enter")} == {"no"}
    assert told["people"] == told["vehicles"] == "0"
    assert "shirt" not in told


def test_who_stands_still_is_there_but_does_not_move() -> None:
    told = answers(STANDS, PARKED)
    assert (told["person"], told["vehicle"], told["bag"]) == ("yes", "yes", "no")
    assert (told["people"], told["shirt"], told["paint"]) == ("1", "red", "blue")
    assert (told["moving"], told["walking"], told["enter"], told["leave"]) == ("no",) * 4


def test_directions_are_as_seen_in_the_picture() -> None:
    told = answers(GOES_LEFT)
    assert (told["left"], told["right"], told["walking"]) == ("yes", "no", "yes")


def test_colours_are_asked_only_where_there_is_one_of_the_kind() -> None:
    other = actor(3, Kind.PERSON, "white", (0, 0.8), (99, 0.8))
    told = answers(STANDS, other)
    assert told["people"] == "2"
    assert "shirt" not in told


def test_a_half_hidden_person_is_not_asked_about() -> None:
    edge = actor(1, Kind.PERSON, "red", (0, 0.0), (99, 0.0))
    told = answers(edge)
    assert "person" not in told
    assert "people" not in told


def test_somebody_entered_who_is_here_now_and_was_not_at_the_start() -> None:
    comer = actor(1, Kind.PERSON, "red", (3, -0.1), (5, 0.4), (99, 0.4))
    assert answers(comer)["enter"] == "yes"
    assert answers(comer, end=30.0)["enter"] == "no"


def test_somebody_left_who_was_here_at_the_start_and_is_gone() -> None:
    goer = actor(1, Kind.PERSON, "red", (0, 0.5), (3, 0.5), (4.5, 1.2))
    assert answers(goer)["leave"] == "yes"
    assert answers(goer)["person"] == "no"


def test_coming_and_going_is_not_asked_of_a_single_slot() -> None:
    assert not {"enter", "leave"} & set(answers(STANDS, samples=2))


@pytest.mark.parametrize("topic", WORDINGS)
def test_a_wording_typed_by_a_person_is_read_as_the_same_kind(topic: str) -> None:
    for number in range(len(WORDINGS[topic])):
        asked = question(topic, number)
        listed = f"{asked.text} | {', '.join(asked.choices)}" if asked.choices else asked.text
        assert Question.parse(listed) == asked


def test_over_many_scenes_every_topic_gets_every_common_answer() -> None:
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(160):
        scene = Scene.random(seed, TRAINING[seed % len(TRAINING)])
        for asked in ask(scene, [40.0 + 0.5 * n for n in range(8)]):
            assert asked.answer in asked.question.options
            told[asked.topic][asked.answer] += 1
    assert set(told) == set(WORDINGS)
    for topic in WORDINGS:
        common = told[topic].most_common()
        assert common[1][1] >= 0.1 * sum(told[topic].values()), topic
