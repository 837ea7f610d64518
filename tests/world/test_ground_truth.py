from dataclasses import replace

import pytest

from codecsight.world import (
    FAMILIES,
    HELD_OUT_FAMILIES,
    TRAINING_FAMILIES,
    Actor,
    ActorKind,
    Scene,
    SceneEventKind,
    Waypoint,
    ground_truth,
    scene_events,
)
from codecsight.world.scene.visitors import BLOCK_S, MAX_VISIT_BLOCKS, visitors_in_block


def passer_by(identity: int = 1) -> Actor:
    path = (Waypoint(2, -0.1, 0.8), Waypoint(10, 1.1, 0.8))
    return Actor(identity, ActorKind.PERSON, "green", 0.3, path)


def scene_with(*actors: Actor) -> Scene:
    return replace(Scene.random(1, "yard"), actors=actors, traffic=0.0)


def test_an_actor_exists_from_its_first_waypoint_to_its_last() -> None:
    scene = scene_with(passer_by())
    assert [len(ground_truth(scene, t).actors) for t in (1.9, 2.0, 9.9, 10.0)] == [0, 1, 1, 0]


def test_box_and_velocity_follow_the_path() -> None:
    (actor,) = ground_truth(scene_with(passer_by()), 6.0).actors
    assert (actor.box.left + actor.box.right) / 2 == pytest.approx(0.5)
    assert actor.box.bottom == pytest.approx(0.8)
    assert actor.velocity == (pytest.approx(0.15), 0.0)
    assert (actor.kind, actor.colour, actor.visible_fraction) == (ActorKind.PERSON, "green", 1.0)


def test_the_visible_fraction_grows_while_a_person_walks_in() -> None:
    fractions = [
        ground_truth(scene_with(passer_by()), 2 + n / 10).visible_fraction(1) for n in range(12)
    ]
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)


def test_entering_and_leaving_are_one_event_each() -> None:
    found = scene_events(scene_with(passer_by()), 0.0, 12.0)
    assert [event.kind for event in found] == [SceneEventKind.ENTER, SceneEventKind.LEAVE]
    assert found[0].time == pytest.approx(2.7, abs=0.3)
    assert found[1].time == pytest.approx(9.6, abs=0.2)


def test_an_actor_visible_from_the_start_does_not_enter() -> None:
    scene = scene_with(replace(passer_by(), path=(Waypoint(0, 0.5, 0.8), Waypoint(20, 0.5, 0.8))))
    assert scene_events(scene, 3.0, 9.0) == ()


def test_a_bag_is_left_behind_when_its_bearer_sets_it_down() -> None:
    bag = next(
        actor
        for block in range(40)
        for actor in visitors_in_block("yard", 3, 4 / 3, 3.0, block)
        if actor.kind is ActorKind.BAG
    )
    assert bag.drop_time is not None
    scene = replace(Scene.random(3, "yard"), traffic=3.0)
    found = scene_events(scene, bag.drop_time - 0.5, bag.drop_time + 0.5)
    assert (SceneEventKind.LEFT_BEHIND, bag.identity) in {(e.kind, e.identity) for e in found}
    after = ground_truth(scene, bag.drop_time + 2.0)
    assert next(s for s in after.actors if s.identity == bag.identity).velocity == (0.0, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_visit_ends_within_the_maximum_number_of_blocks(family: str) -> None:
    for block in range(60):
        for actor in visitors_in_block(family, 11, 16 / 9, 4.0, block):
            assert block * BLOCK_S <= actor.path[0].time < (block + 1) * BLOCK_S
            assert actor.path[-1].time <= (block + MAX_VISIT_BLOCKS) * BLOCK_S
            assert list(actor.path) == sorted(actor.path, key=lambda point: point.time)


def test_an_endless_stream_has_busy_and_empty_times() -> None:
    scene = replace(Scene.random(2, "street"), actors=())
    for start in (0, 100_000):
        counts = [len(ground_truth(scene, start + 10.0 * n).actors) for n in range(60)]
        assert min(counts) == 0
        assert max(counts) >= 3


def test_identities_are_unique_at_any_time() -> None:
    scene = Scene.random(4, "hall")
    for t in range(0, 600, 5):
        identities = [actor.identity for actor in scene.actors_at(float(t))]
        assert len(identities) == len(set(identities))


def test_training_and_held_out_families_are_disjoint() -> None:
    assert set(TRAINING_FAMILIES) | set(HELD_OUT_FAMILIES) == set(FAMILIES)
    assert not set(TRAINING_FAMILIES) & set(HELD_OUT_FAMILIES)
