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
from codecsight.world.scene.visitors import BLOCK_S, MAX_VISIT_BLOCKS, visitors


def passer(identity: int = 1) -> Actor:
    path = (Waypoint(2, -0.1, 0.8), Waypoint(10, 1.1, 0.8))
    return Actor(identity, ActorKind.PERSON, "green", 0.3, path)


def stage(*actors: Actor) -> Scene:
    return replace(Scene.random(1, "yard"), actors=actors, traffic=0.0)


def test_an_actor_is_there_from_its_first_waypoint_to_its_last() -> None:
    scene = stage(passer())
    assert [len(ground_truth(scene, t).actors) for t in (1.9, 2.0, 9.9, 10.0)] == [0, 1, 1, 0]


def test_a_walker_is_where_its_path_says_and_moves_as_fast() -> None:
    (seen,) = ground_truth(stage(passer()), 6.0).actors
    assert (seen.box.left + seen.box.right) / 2 == pytest.approx(0.5)
    assert seen.box.bottom == pytest.approx(0.8)
    assert seen.velocity == (pytest.approx(0.15), 0.0)
    assert (seen.kind, seen.colour, seen.visible_fraction) == (ActorKind.PERSON, "green", 1.0)


def test_the_visible_share_grows_as_somebody_walks_in() -> None:
    shares = [ground_truth(stage(passer()), 2 + n / 10).visible_fraction(1) for n in range(12)]
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_entering_and_leaving_are_told_once_each() -> None:
    happened = scene_events(stage(passer()), 0.0, 12.0)
    assert [event.what for event in happened] == [SceneEventKind.ENTER, SceneEventKind.LEAVE]
    assert happened[0].time == pytest.approx(2.7, abs=0.3)
    assert happened[1].time == pytest.approx(9.6, abs=0.2)


def test_nobody_enters_who_was_there_all_along() -> None:
    scene = stage(replace(passer(), path=(Waypoint(0, 0.5, 0.8), Waypoint(20, 0.5, 0.8))))
    assert scene_events(scene, 3.0, 9.0) == ()


def test_a_bag_is_left_behind_when_its_bearer_sets_it_down() -> None:
    bag = next(
        actor
        for block in range(40)
        for actor in visitors("yard", 3, 4 / 3, 3.0, block)
        if actor.kind is ActorKind.BAG
    )
    assert bag.drop_time is not None
    scene = replace(Scene.random(3, "yard"), traffic=3.0)
    happened = scene_events(scene, bag.drop_time - 0.5, bag.drop_time + 0.5)
    assert (SceneEventKind.LEFT_BEHIND, bag.identity) in {(e.what, e.identity) for e in happened}
    still = ground_truth(scene, bag.drop_time + 2.0)
    assert next(s for s in still.actors if s.identity == bag.identity).velocity == (0.0, 0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_visit_ends_within_the_blocks_that_are_looked_back_on(family: str) -> None:
    for block in range(60):
        for actor in visitors(family, 11, 16 / 9, 4.0, block):
            assert block * BLOCK_S <= actor.path[0].time < (block + 1) * BLOCK_S
            assert actor.path[-1].time <= (block + MAX_VISIT_BLOCKS) * BLOCK_S
            assert list(actor.path) == sorted(actor.path, key=lambda point: point.time)


def test_a_stream_has_busy_and_empty_times_for_ever() -> None:
    scene = replace(Scene.random(2, "street"), actors=())
    for start in (0, 100_000):
        crowd = [len(ground_truth(scene, start + 10.0 * n).actors) for n in range(60)]
        assert min(crowd) == 0
        assert max(crowd) >= 3


def test_identities_are_never_shared() -> None:
    scene = Scene.random(4, "hall")
    for t in range(0, 600, 5):
        known = [actor.identity for actor in scene.actors_at(float(t))]
        assert len(known) == len(set(known))


def test_no_family_is_both_trained_on_and_held_out() -> None:
    assert set(TRAINING_FAMILIES) | set(HELD_OUT_FAMILIES) == set(FAMILIES)
    assert not set(TRAINING_FAMILIES) & set(HELD_OUT_FAMILIES)
