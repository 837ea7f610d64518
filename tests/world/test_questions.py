from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from codecsight.core.question import Question
from codecsight.world import TRAINING_FAMILIES, Actor, ActorKind, Scene, Waypoint
from codecsight.world.labels.questions import WORDINGS, label_questions, topic_question
from codecsight.world.scene.effects import Effect, Fire, Lamp, Smoke


def actor(identity: int, kind: ActorKind, colour: str, *path: tuple[float, float]) -> Actor:
    """An actor that is at x at each (time, x)."""
    points = tuple(Waypoint(time, x, 0.6 + 0.1 * identity) for time, x in path)
    return Actor(identity, kind, colour, 0.25 if kind is ActorKind.PERSON else 0.18, points)


def answers(
    *actors: Actor, end: float = 5.0, samples: int = 6, effects: tuple[Effect, ...] = ()
) -> dict[str, str]:
    scene = replace(Scene.random(1, "yard"), actors=actors, traffic=0.0, effects=effects)
    window = [end - 0.5 * (samples - 1 - n) for n in range(samples)]
    return {asked.topic: asked.answer for asked in label_questions(scene, window)}


STANDS = actor(1, ActorKind.PERSON, "red", (0, 0.3), (99, 0.3))
PARKED = actor(2, ActorKind.VEHICLE, "blue", (0, 0.7), (99, 0.7))
GOES_LEFT = actor(1, ActorKind.PERSON, "green", (0, 0.9), (9, 0.1))


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
    other = actor(3, ActorKind.PERSON, "white", (0, 0.8), (99, 0.8))
    told = answers(STANDS, other)
    assert told["people"] == "2"
    assert "shirt" not in told


def test_a_half_hidden_person_is_not_asked_about() -> None:
    edge = actor(1, ActorKind.PERSON, "red", (0, 0.0), (99, 0.0))
    told = answers(edge)
    assert "person" not in told
    assert "people" not in told


def test_somebody_entered_who_is_here_now_and_was_not_at_the_start() -> None:
    comer = actor(1, ActorKind.PERSON, "red", (3, -0.1), (5, 0.4), (99, 0.4))
    assert answers(comer)["enter"] == "yes"
    assert answers(comer, end=30.0)["enter"] == "no"


def test_somebody_left_who_was_here_at_the_start_and_is_gone() -> None:
    goer = actor(1, ActorKind.PERSON, "red", (0, 0.5), (3, 0.5), (4.5, 1.2))
    assert answers(goer)["leave"] == "yes"
    assert answers(goer)["person"] == "no"


def test_coming_and_going_is_not_asked_of_a_single_slot() -> None:
    assert not {"enter", "leave"} & set(answers(STANDS, samples=2))


@pytest.mark.parametrize("topic", WORDINGS)
def test_a_wording_typed_by_a_person_is_read_as_the_same_kind(topic: str) -> None:
    for number in range(len(WORDINGS[topic])):
        asked = topic_question(topic, number)
        listed = f"{asked.text} | {', '.join(asked.choices)}" if asked.choices else asked.text
        assert Question.parse(listed) == asked


def test_a_runner_runs_and_nobody_would_swear_that_it_walks() -> None:
    told = answers(actor(1, ActorKind.PERSON, "green", (0, -0.9), (9, 2.1)))
    assert (told["running"], told["moving"], told["standing"]) == ("yes", "yes", "no")
    assert "walking" not in told
    assert answers(GOES_LEFT)["running"] == "no"


def test_one_who_stands_still_is_found_among_walkers() -> None:
    assert answers(STANDS)["standing"] == "yes"
    assert answers(GOES_LEFT)["standing"] == "no"
    assert answers(STANDS, replace(GOES_LEFT, identity=2))["standing"] == "yes"


FALLS = replace(
    actor(1, ActorKind.PERSON, "green", (0, 0.1), (4, 0.5), (60, 0.5), (65, 1.2)),
    lying_span=(4.0, 50.0),
)


def test_who_was_upright_and_lies_now_has_fallen() -> None:
    told = answers(FALLS)
    assert (told["fall"], told["lying"], told["standing"]) == ("yes", "yes", "no")
    assert told["people"] == "1"


def test_who_lies_all_the_time_did_not_fall_in_it_and_who_got_up_is_not_asked_about() -> None:
    lying, risen = answers(FALLS, end=20.0), answers(FALLS, end=51.5)
    assert (lying["fall"], lying["lying"]) == ("no", "yes")
    assert "fall" not in risen
    assert risen["lying"] == "no"


LIES_THERE = actor(2, ActorKind.BAG, "blue", (0, 0.4), (99, 0.4))


def test_a_bag_with_nobody_near_was_left_behind() -> None:
    passer = actor(1, ActorKind.PERSON, "red", (0, 0.9), (99, 0.9))
    assert answers(LIES_THERE)["left-behind"] == "yes"
    assert answers(LIES_THERE, passer)["left-behind"] == "yes"
    assert answers(passer)["left-behind"] == "no"


def test_a_bag_that_is_carried_or_stood_by_was_not() -> None:
    bearer = actor(1, ActorKind.PERSON, "red", (0, 0.3), (99, 0.3))
    assert answers(LIES_THERE, bearer)["left-behind"] == "no"
    walker, bag = (actor(n, k, "red", (0, 0.1 + n / 10), (9, 0.6 + n / 10)) for n, k in CARRIED)
    assert answers(walker, bag)["left-behind"] == "no"


CARRIED = ((1, ActorKind.PERSON), (2, ActorKind.BAG))


def test_of_a_bag_that_somebody_walks_past_nothing_is_said() -> None:
    assert "left-behind" not in answers(LIES_THERE, replace(GOES_LEFT, path=PAST))


PAST = (Waypoint(0, 0.0, 0.7), Waypoint(9, 0.72, 0.7))


def test_sides_are_those_of_the_picture_and_its_middle_is_neither() -> None:
    told = answers(STANDS)
    assert (told["on-left"], told["on-right"]) == ("yes", "no")
    told = answers(actor(1, ActorKind.PERSON, "red", (0, 0.5), (99, 0.5)))
    assert not {"on-left", "on-right"} & set(told)


def test_who_crosses_the_middle_leaves_one_side_and_enters_the_other() -> None:
    told = answers(actor(1, ActorKind.PERSON, "red", (0, 0.0), (9, 0.9)), end=7.0, samples=10)
    assert (told["enter-right"], told["leave-left"]) == ("yes", "yes")
    assert (told["enter-left"], told["leave-right"]) == ("no", "no")


def test_who_comes_in_over_an_edge_enters_the_side_it_comes_to() -> None:
    told = answers(actor(1, ActorKind.PERSON, "red", (3, -0.1), (5, 0.3), (99, 0.3)))
    assert (told["enter-left"], told["enter-right"], told["leave-left"]) == ("yes", "no", "no")


def test_of_who_came_to_a_side_and_went_again_nothing_is_said() -> None:
    visit = actor(1, ActorKind.PERSON, "red", (0, 0.8), (2, 0.3), (4, 0.3), (6, 0.8), (99, 0.8))
    told = answers(visit, end=7.0, samples=15)
    assert not {"enter-left", "leave-left"} & set(told)


def test_smoke_and_fire_are_asked_about_only_when_they_are_plain() -> None:
    smoke, fire = Smoke(0.5, 0.7, 0.1, 2.0), Fire(0.5, 0.7, 0.06, 4.8, 60.0)
    told = answers(effects=(smoke, fire), end=5.0)
    assert told["smoke"] == "yes"
    assert "fire" not in told
    told = answers(effects=(smoke, fire), end=1.0, samples=2)
    assert (told["smoke"], told["fire"]) == ("no", "no")
    hider = actor(1, ActorKind.PERSON, "red", (0, 0.5), (99, 0.5))
    assert "fire" not in answers(hider, effects=(Fire(0.5, 0.68, 0.04, 0.0, 60.0),))


def test_a_lamp_that_was_switched_has_changed_the_scene_and_a_passer_by_has_not() -> None:
    lamp = Lamp(0.2, 0.2, 0.1, on=4.0, off=20.0)
    assert answers(effects=(lamp,))["changed"] == "yes"
    assert answers(GOES_LEFT, effects=(lamp,), end=12.0)["changed"] == "no"
    assert "changed" not in answers(effects=(lamp,), samples=2)
    assert "changed" not in answers(effects=(Smoke(0.5, 0.7, 0.1, 3.0),))


def test_a_description_tells_everything_in_order_and_single_ones_in_detail() -> None:
    smoke = (Smoke(0.5, 0.7, 0.1, -9.0),)
    assert answers()["describe"] == "nothing"
    assert answers(effects=smoke)["describe"] == "smoke"
    assert answers(GOES_LEFT, PARKED)["describe"] == (
        "one person in green walking left, a blue car standing"
    )
    other = actor(3, ActorKind.PERSON, "white", (0, 0.8), (99, 0.8))
    bag = replace(LIES_THERE, identity=4)
    assert answers(STANDS, other, bag, effects=smoke)["describe"] == "two people, a bag, smoke"
    assert answers(FALLS)["describe"] == "one person in green lying"


def test_what_is_in_doubt_is_not_described() -> None:
    assert "describe" not in answers(actor(1, ActorKind.PERSON, "red", (0, 0.0), (99, 0.0)))


def test_over_many_scenes_every_topic_gets_every_common_answer() -> None:
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for seed in range(160):
        scene = replace(
            Scene.random(seed, TRAINING_FAMILIES[seed % len(TRAINING_FAMILIES)]), incidents=0.8
        )
        for turn in scene.change_times(40.0, 70.0)[:3]:
            for asked in label_questions(scene, [turn - 2.0 + 0.5 * n for n in range(8)]):
                assert asked.answer in asked.question.options or asked.topic == "describe"
                told[asked.topic][asked.answer] += 1
    assert set(told) == set(WORDINGS)
    for topic in WORDINGS:
        common = told[topic].most_common()
        assert common[1][1] >= 0.02 * sum(told[topic].values()), topic
