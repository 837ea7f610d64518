from dataclasses import replace

import pytest

from codecsight.world import Actor, ActorKind, Scene, SceneEventKind, ground_truth, scene_events
from codecsight.world.scene.actor import MIN_RUNNING_SPEED
from codecsight.world.scene.effects import EffectKind
from codecsight.world.scene.incidents import incidents_in_block, wall_lamps
from codecsight.world.scene.visitors import BLOCK_S, MAX_VISIT_BLOCKS


def incident_actors(kind: ActorKind = ActorKind.PERSON) -> list[Actor]:
    return [
        actor
        for block in range(60)
        for actor in incidents_in_block("yard", 3, 4 / 3, 1.0, block).actors
        if actor.kind is kind
    ]


def test_every_incident_ends_within_the_maximum_number_of_blocks() -> None:
    for block in range(200):
        found = incidents_in_block("street", 5, 16 / 9, 2.0, block)
        end = (block + MAX_VISIT_BLOCKS) * BLOCK_S
        assert all(actor.path[-1].time <= end for actor in found.actors)
        assert not any(effect.strength(end) for effect in found.effects)
        assert not any(effect.strength(block * BLOCK_S) for effect in found.effects)


def test_incidents_do_not_change_the_visitors() -> None:
    calm = replace(Scene.random(4, "hall"), incident_rate=0.0)
    eventful = replace(calm, incident_rate=0.5)
    additional = 0
    for t in range(0, 900, 5):
        identities = [actor.identity for actor in eventful.actors_at(float(t))]
        assert len(identities) == len(set(identities))
        assert {actor.identity for actor in calm.actors_at(float(t))} <= set(identities)
        additional += len(identities) - len(calm.actors_at(float(t)))
    assert additional > 5


def test_a_scene_without_traffic_has_no_incidents() -> None:
    scene = replace(Scene.random(4, "hall"), incident_rate=5.0, traffic=0.0, effects=())
    assert not any(scene.actors_at(t) or scene.effects_at(t) for t in (0.0, 50.0, 500.0))


def test_runners_run_the_whole_path() -> None:
    runners = [actor for actor in incident_actors() if actor.lying_span is None]
    assert runners
    assert all(runner.is_running(runner.path[1].time - 0.1) for runner in runners)
    assert all(
        abs(runner.velocity(runner.path[0].time)[0]) >= MIN_RUNNING_SPEED for runner in runners
    )


def test_a_faller_lies_as_wide_as_it_was_high_and_the_fall_is_an_event() -> None:
    faller = next(actor for actor in incident_actors() if actor.lying_span is not None)
    assert faller.lying_span is not None
    fell, rose = faller.lying_span
    scene = replace(Scene.random(3, "yard"), actors=(faller,), traffic=0.0, aspect=1.0)
    upright, lying = (ground_truth(scene, t).actors[0] for t in (fell - 0.1, fell + 0.1))
    assert (upright.lying, lying.lying) == (False, True)
    assert lying.box.right - lying.box.left == pytest.approx(upright.box.bottom - upright.box.top)
    assert not ground_truth(scene, rose + 0.1).actors[0].lying
    kinds = [event.kind for event in scene_events(scene, fell - 1, fell + 1)]
    assert SceneEventKind.FALL in kinds


def test_some_places_have_a_lamp_that_is_switched_periodically() -> None:
    lamps = [lamp for seed in range(40) for lamp in wall_lamps("night", seed)]
    assert 5 < len(lamps) < 30
    for lamp in lamps:
        times = lamp.change_times(9_000.0, 9_300.0)
        assert len(times) >= 4
        assert all(lamp.strength(t - 0.01) != lamp.strength(t + 0.01) for t in times)


def test_the_ground_truth_has_effects_only_while_they_are_visible() -> None:
    scene = replace(Scene.random(2, "street"), incident_rate=1.0)
    fire = next(
        effect
        for block in range(200)
        for effect in incidents_in_block("street", 2, 4 / 3, scene.traffic, block).effects
        if effect.kind is EffectKind.FIRE
    )
    start, end = fire.change_times(-1e9, 1e9)
    strengths = [
        [e.strength for e in ground_truth(scene, t).effects if e.box == fire.box(4 / 3)]
        for t in (start, start + 0.5, start + 2, end + 2)
    ]
    assert strengths == [[], [pytest.approx(0.5)], [1.0], []]


def test_change_times_contain_all_waypoints_in_order() -> None:
    scene = replace(Scene.random(6, "night"), incident_rate=0.5)
    times = scene.change_times(100.0, 160.0)
    assert times == tuple(sorted(times))
    assert all(100 <= t < 160 for t in times)
    waypoints = {
        point.time for t in range(100, 160) for a in scene.actors_at(t) for point in a.path
    }
    assert {t for t in waypoints if 100 <= t < 160} <= set(times)
