from dataclasses import replace

import pytest

from codecsight.world import Actor, ActorKind, Scene, SceneEventKind, ground_truth, scene_events
from codecsight.world.scene.actor import MIN_RUNNING_SPEED
from codecsight.world.scene.effects import EffectKind
from codecsight.world.scene.incidents import fixture, incidents
from codecsight.world.scene.visitors import BLOCK_S, MAX_VISIT_BLOCKS


def befallen(kind: ActorKind = ActorKind.PERSON) -> list[Actor]:
    return [
        actor
        for block in range(60)
        for actor in incidents("yard", 3, 4 / 3, 1.0, block).actors
        if actor.kind is kind
    ]


def test_everything_that_happens_is_over_within_the_blocks_that_are_looked_back_on() -> None:
    for block in range(200):
        found = incidents("street", 5, 16 / 9, 2.0, block)
        end = (block + MAX_VISIT_BLOCKS) * BLOCK_S
        assert all(actor.path[-1].time <= end for actor in found.actors)
        assert not any(effect.strength(end) for effect in found.effects)
        assert not any(effect.strength(block * BLOCK_S) for effect in found.effects)


def test_a_scene_has_the_same_visitors_with_incidents_and_without() -> None:
    calm = replace(Scene.random(4, "hall"), incidents=0.0)
    rough = replace(calm, incidents=0.5)
    more = 0
    for t in range(0, 900, 5):
        known = [actor.identity for actor in rough.actors_at(float(t))]
        assert len(known) == len(set(known))
        assert {actor.identity for actor in calm.actors_at(float(t))} <= set(known)
        more += len(known) - len(calm.actors_at(float(t)))
    assert more > 5


def test_where_nobody_comes_nothing_happens() -> None:
    scene = replace(Scene.random(4, "hall"), incidents=5.0, traffic=0.0, effects=())
    assert not any(scene.actors_at(t) or scene.effects_at(t) for t in (0.0, 50.0, 500.0))


def test_runners_run_all_the_way() -> None:
    runners = [actor for actor in befallen() if actor.lying_span is None]
    assert runners
    assert all(runner.is_running(runner.path[1].time - 0.1) for runner in runners)
    assert all(
        abs(runner.velocity(runner.path[0].time)[0]) >= MIN_RUNNING_SPEED for runner in runners
    )


def test_who_falls_lies_as_long_as_it_was_high_and_the_fall_is_told() -> None:
    faller = next(actor for actor in befallen() if actor.lying_span is not None)
    assert faller.lying_span is not None
    fell, rose = faller.lying_span
    scene = replace(Scene.random(3, "yard"), actors=(faller,), traffic=0.0, aspect=1.0)
    upright, lying = (ground_truth(scene, t).actors[0] for t in (fell - 0.1, fell + 0.1))
    assert (upright.lying, lying.lying) == (False, True)
    assert lying.box.right - lying.box.left == pytest.approx(upright.box.bottom - upright.box.top)
    assert not ground_truth(scene, rose + 0.1).actors[0].lying
    happened = [event.what for event in scene_events(scene, fell - 1, fell + 1)]
    assert SceneEventKind.FALL in happened


def test_some_places_have_a_lamp_that_is_switched_on_and_off_for_ever() -> None:
    lamps = [lamp for seed in range(40) for lamp in fixture("night", seed)]
    assert 5 < len(lamps) < 30
    for lamp in lamps:
        turns = lamp.change_times(9_000.0, 9_300.0)
        assert len(turns) >= 4
        assert all(lamp.strength(t - 0.01) != lamp.strength(t + 0.01) for t in turns)


def test_signs_are_told_from_their_first_trace_to_their_last_and_lamps_always() -> None:
    scene = replace(Scene.random(2, "street"), incidents=1.0)
    fire = next(
        effect
        for block in range(200)
        for effect in incidents("street", 2, 4 / 3, scene.traffic, block).effects
        if effect.kind is EffectKind.FIRE
    )
    start, end = fire.change_times(-1e9, 1e9)
    told = [
        [s.strength for s in ground_truth(scene, t).effects if s.box == fire.box(4 / 3)]
        for t in (start, start + 0.5, start + 2, end + 2)
    ]
    assert told == [[], [pytest.approx(0.5)], [1.0], []]


def test_turns_are_when_somebody_sets_out_stops_or_goes_or_an_effect_is_switched() -> None:
    scene = replace(Scene.random(6, "night"), incidents=0.5)
    turns = scene.change_times(100.0, 160.0)
    assert turns == tuple(sorted(turns))
    assert all(100 <= t < 160 for t in turns)
    ways = {point.time for t in range(100, 160) for a in scene.actors_at(t) for point in a.path}
    assert {t for t in ways if 100 <= t < 160} <= set(turns)
