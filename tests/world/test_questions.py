from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from codecsight.core.question import Question
from codecsight.world import TRAINING_FAMILIES, Actor, ActorKind, Scene, Waypoint
from codecsight.world.labels.questions import WORDINGS, label_questions, topic_question
from codecsight.world.scene.effects import Effect, Fire, Lamp, Smoke


def actor(identity: int, kind: ActorKind, colour: str, *path: tuple[float, float]) -> Actor:
    """An actor whose path is given as (time, x) pairs."""
    points = tuple(Waypoint(time, x, 0.6 + 0.1 * identity) for time, x in path)
    return Actor(identity, kind, colour, 0.25 if kind is ActorKind.PERSON else 0.18, points)


def answers(
    *actors: Actor, end: float = 5.0, samples: int = 6, effects: tuple[Effect, ...] = ()
) -> dict[str, str]:
    scene = replace(Scene.random(1, "yard"), actors=actors, traffic=0.0, effects=effects)
    window = [end - 0.5 * (samples - 1 - n) for n in range(samples)]
    return {item.topic: item.answer for item in label_questions(scene, window)}


STANDS = actor(1, ActorKind.PERSON, "red", (0, 0.3), (99, 0.3))
PARKED = actor(2, ActorKind.VEHICLE, "blue", (0, 0.7), (99, 0.7))
GOES_LEFT = actor(1, ActorKind.PERSON, "green", (0, 0.9), (9, 0.1))


def test_an_empty_scene_answers_no_and_zero() -> None:
    found = answers()
    assert {found[topic] for topic in ("person", "vehicle", "bag", "moving", "enter")} == {"no"}
    assert found["people"] == found["vehicles"] == "0"
    assert "shirt" not in found


def test_a_standing_actor_is_present_but_does_not_move() -> None:
    found = answers(STANDS, PARKED)
    assert (found["person"], found["vehicle"], found["bag"]) == ("yes", "yes", "no")
    assert (found["people"], found["shirt"], found["paint"]) == ("1", "red", "blue")
    assert (found["moving"], found["walking"], found["enter"], found["leave"]) == ("no",) * 4


def test_directions_are_those_of_the_picture() -> None:
    found = answers(GOES_LEFT)
    assert (found["left"], found["right"], found["walking"]) == ("yes", "no", "yes")


def test_colours_are_asked_only_of_a_single_actor_of_the_kind() -> None:
    other = actor(3, ActorKind.PERSON, "white", (0, 0.8), (99, 0.8))
    found = answers(STANDS, other)
    assert found["people"] == "2"
    assert "shirt" not in found


def test_a_half_hidden_person_is_not_asked_about() -> None:
    edge = actor(1, ActorKind.PERSON, "red", (0, 0.0), (99, 0.0))
    found = answers(edge)
    assert "person" not in found
    assert "people" not in found


def test_entered_means_visible_at_the_end_and_not_at_the_start() -> None:
    visitor = actor(1, ActorKind.PERSON, "red", (3, -0.1), (5, 0.4), (99, 0.4))
    assert answers(visitor)["enter"] == "yes"
    assert answers(visitor, end=30.0)["enter"] == "no"


def test_left_means_visible_at_the_start_and_not_at_the_end() -> None:
    visitor = actor(1, ActorKind.PERSON, "red", (0, 0.5), (3, 0.5), (4.5, 1.2))
    assert answers(visitor)["leave"] == "yes"
    assert answers(visitor)["person"] == "no"


def test_entering_and_leaving_are_not_asked_of_a_single_slot() -> None:
    assert not {"enter", "leave"} & set(answers(STANDS, samples=2))


@pytest.mark.parametrize("topic", WORDINGS)
def test_every_wording_is_parsed_as_a_question_of_the_same_kind(topic: str) -> None:
    for number in range(len(WORDINGS[topic])):
        asked = topic_question(topic, number)
        listed = f"{asked.text} | {', '.join(asked.choices)}" if asked.choices else asked.text
        assert Question.parse(listed) == asked


def test_a_runner_runs_and_whether_it_walks_is_ambiguous() -> None:
    found = answers(actor(1, ActorKind.PERSON, "green", (0, -0.9), (9, 2.1)))
    assert (found["running"], found["moving"], found["standing"]) == ("yes", "yes", "no")
    assert "walking" not in found
    assert answers(GOES_LEFT)["running"] == "no"


def test_a_standing_person_is_found_among_walkers() -> None:
    assert answers(STANDS)["standing"] == "yes"
    assert answers(GOES_LEFT)["standing"] == "no"
    assert answers(STANDS, replace(GOES_LEFT, identity=2))["standing"] == "yes"


FALLS = replace(
    actor(1, ActorKind.PERSON, "green", (0, 0.1), (4, 0.5), (60, 0.5), (65, 1.2)),
    lying_span=(4.0, 50.0),
)


def test_upright_at_first_and_lying_at_last_is_a_fall() -> None:
    found = answers(FALLS)
    assert (found["fall"], found["lying"], found["standing"]) == ("yes", "yes", "no")
    assert found["people"] == "1"


def test_lying_all_the_time_is_no_fall_and_getting_up_is_ambiguous() -> None:
    lying, risen = answers(FALLS, end=20.0), answers(FALLS, end=51.5)
    assert (lying["fall"], lying["lying"]) == ("no", "yes")
    assert "fall" not in risen
    assert risen["lying"] == "no"


LYING_BAG = actor(2, ActorKind.BAG, "blue", (0, 0.4), (99, 0.4))


def test_a_bag_without_a_person_near_it_was_left_behind() -> None:
    passer = actor(1, ActorKind.PERSON, "red", (0, 0.9), (99, 0.9))
    assert answers(LYING_BAG)["left-behind"] == "yes"
    assert answers(LYING_BAG, passer)["left-behind"] == "yes"
    assert answers(passer)["left-behind"] == "no"


def test_a_carried_or_attended_bag_was_not_left_behind() -> None:
    bearer = actor(1, ActorKind.PERSON, "red", (0, 0.3), (99, 0.3))
    assert answers(LYING_BAG, bearer)["left-behind"] == "no"
    walker, bag = (
        actor(n, k, "red", (0, 0.1 + n / 10), (9, 0.6 + n / 10)) for n, k in BEARER_AND_BAG
    )
    assert answers(walker, bag)["left-behind"] == "no"


BEARER_AND_BAG = ((1, ActorKind.PERSON), (2, ActorKind.BAG))


def test_a_bag_that_a_person_walks_past_is_ambiguous() -> None:
    assert "left-behind" not in answers(LYING_BAG, replace(GOES_LEFT, path=PASSING))


PASSING = (Waypoint(0, 0.0, 0.7), Waypoint(9, 0.72, 0.7))


def test_sides_are_those_of_the_picture_and_the_middle_is_ambiguous() -> None:
    found = answers(STANDS)
    assert (found["on-left"], found["on-right"]) == ("yes", "no")
    found = answers(actor(1, ActorKind.PERSON, "red", (0, 0.5), (99, 0.5)))
    assert not {"on-left", "on-right"} & set(found)


def test_crossing_the_middle_leaves_one_side_and_enters_the_other() -> None:
    found = answers(actor(1, ActorKind.PERSON, "red", (0, 0.0), (9, 0.9)), end=7.0, samples=10)
    assert (found["enter-right"], found["leave-left"]) == ("yes", "yes")
    assert (found["enter-left"], found["leave-right"]) == ("no", "no")


def test_entering_over_an_edge_enters_that_side() -> None:
    found = answers(actor(1, ActorKind.PERSON, "red", (3, -0.1), (5, 0.3), (99, 0.3)))
    assert (found["enter-left"], found["enter-right"], found["leave-left"]) == ("yes", "no", "no")


def test_entering_and_leaving_a_side_within_the_window_is_ambiguous() -> None:
    visit = actor(1, ActorKind.PERSON, "red", (0, 0.8), (2, 0.3), (4, 0.3), (6, 0.8), (99, 0.8))
    found = answers(visit, end=7.0, samples=15)
    assert not {"enter-left", "leave-left"} & set(found)


def test_smoke_and_fire_are_asked_about_only_when_clearly_visible_or_absent() -> None:
    smoke, fire = Smoke(0.5, 0.7, 0.1, 2.0), Fire(0.5, 0.7, 0.06, 4.8, 60.0)
    found = answers(effects=(smoke, fire), end=5.0)
    assert found["smoke"] == "yes"
    assert "fire" not in found
    found = answers(effects=(smoke, fire), end=1.0, samples=2)
    assert (found["smoke"], found["fire"]) == ("no", "no")
    occluder = actor(1, ActorKind.PERSON, "red", (0, 0.5), (99, 0.5))
    assert "fire" not in answers(occluder, effects=(Fire(0.5, 0.68, 0.04, 0.0, 60.0),))


def test_a_switched_lamp_changes_the_scene_and_a_passer_by_does_not() -> None:
    lamp = Lamp(0.2, 0.2, 0.1, on=4.0, off=20.0)
    assert answers(effects=(lamp,))["changed"] == "yes"
    assert answers(GOES_LEFT, effects=(lamp,), end=12.0)["changed"] == "no"
    assert "changed" not in answers(effects=(lamp,), samples=2)
    assert "changed" not in answers(effects=(Smoke(0.5, 0.7, 0.1, 3.0),))


def test_a_description_lists_everything_in_order_and_single_actors_in_detail() -> None:
    smoke = (Smoke(0.5, 0.7, 0.1, -9.0),)
    assert answers()["describe"] == "nothing"
    assert answers(effects=smoke)["describe"] == "smoke"
    assert answers(GOES_LEFT, PARKED)["describe"] == (
        "one person in green walking left, a blue car standing"
    )
    other = actor(3, ActorKind.PERSON, "white", (0, 0.8), (99, 0.8))
    bag = replace(LYING_BAG, identity=4)
    assert answers(STANDS, other, bag, effects=smoke)["describe"] == "two people, a bag, smoke"
    assert answers(FALLS)["describe"] == "one person in green lying"


def test_an_ambiguous_scene_is_not_described() -> None:
    assert "describe" not in answers(actor(1, ActorKind.PERSON, "red", (0, 0.0), (99, 0.0)))


def test_every_topic_has_at_least_two_common_answers_over_many_scenes() -> None:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(160):
        family = TRAINING_FAMILIES[seed % len(TRAINING_FAMILIES)]
        scene = replace(Scene.random(seed, family), incident_rate=0.8)
        for time in scene.change_times(40.0, 70.0)[:3]:
            for item in label_questions(scene, [time - 2.0 + 0.5 * n for n in range(8)]):
                assert item.answer in item.question.options or item.topic == "describe"
                found[item.topic][item.answer] += 1
    assert set(found) == set(WORDINGS)
    for topic in WORDINGS:
        common = found[topic].most_common()
        assert common[1][1] >= 0.02 * sum(found[topic].values()), topic
