from dataclasses import replace

import pytest

from codecsight.world import Actor, EventKind, Kind, Scene, events, truth
from codecsight.world.actor import RUNNING
from codecsight.world.effects import EffectKind
from codecsight.world.incidents import fixture, incidents
from codecsight.world.visitors import BLOCK, LOOK_BACK


def befallen(kind: Kind = Kind.PERSON) -> list[Actor]:
    return [
        actor
        for block in range(60)
        for actor in incidents("yard", 3, 4 / 3, 1.0, block).actors
        if actor.kind is kind
    ]


def test_everything_that_happens_is_over_within_the_blocks_that_are_looked_back_on() -> None:
    for block in range(200):
        found = incidents("street", 5, 16 / 9, 2.0, block)
        end = (block + LOOK_BACK) * BLOCK
        assert all(actor.path[-1].time <= end for actor in found.actors)
        assert not any(effect.strength(end) for effect in found.effects)
        assert not any(effect.strength(block * BLOCK) for effect in found.effects)


def test_a_scene_has_the_same_visitors_with_incidents_and_without() -> None:
    calm = replace(Scene.random(4, "hall"), incidents=0.0)
    rough = replace(calm, incidents=0.5)
    more = 0
    for t in range(0, 900, 5):
        known = [actor.identity for actor in rough.present(float(t))]
        assert len(known) == len(set(known))
        assert {actor.identity for actor in calm.present(float(t))} <= set(known)
        more += len(known) - len(calm.present(float(t)))
    assert more > 5


def test_where_nobody_comes_nothing_happens() -> None:
    scene = replace(Scene.random(4, "hall"), incidents=5.0, traffic=0.0, effects=())
    assert not any(scene.present(t) or scene.affected(t) for t in (0.0, 50.0, 500.0))


def test_runners_run_all_the_way() -> None:
    runners = [actor for actor in befallen() if actor.down is None]
    assert runners
    assert all(runner.runs(runner.path[1].time - 0.1) for runner in runners)
    assert all(abs(runner.velocity(runner.path[0].time)[0]) >= RUNNING for runner in runners)


def test_who_falls_lies_as_long_as_it_was_high_and_the_fall_is_told() -> None:
    faller = next(actor for actor in befallen() if actor.down is not None)
    assert faller.down is not None
    fell, rose = faller.down
    scene = replace(Scene.random(3, "yard"), actors=(faller,), traffic=0.0, aspect=1.0)
    upright, lying = (truth(scene, t).actors[0] for t in (fell - 0.1, fell + 0.1))
    assert (upright.lies, lying.lies) == (False, True)
    assert lying.box.right - lying.box.left == pytest.approx(upright.box.bottom - upright.box.top)
    assert not truth(scene, rose + 0.1).actors[0].lies
    happened = [event.what for event in events(scene, fell - 1, fell + 1)]
    assert EventKind.FALL in happened


def test_some_places_have_a_lamp_that_is_switched_on_and_off_for_ever() -> None:
    lamps = [lamp for seed in range(40) for lamp in fixture("night", seed)]
    assert 5 < len(lamps) < 30
    for lamp in lamps:
        turns = lamp.turns(9_000.0, 9_300.0)
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
    start, end = fire.turns(-1e9, 1e9)
    told = [
        [s.strength for s in truth(scene, t).signs if s.box == fire.box(4 / 3)]
        for t in (start, start + 0.5, start + 2, end + 2)
    ]
    assert told == [[], [pytest.approx(0.5)], [1.0], []]


def test_turns_are_when_somebody_sets_out_stops_or_goes_or_an_effect_is_switched() -> None:
    scene = replace(Scene.random(6, "night"), incidents=0.5)
    turns = scene.turns(100.0, 160.0)
    assert turns == tuple(sorted(turns))
    assert all(100 <= t < 160 for t in turns)
    ways = {point.time for t in range(100, 160) for a in scene.present(t) for point in a.path}
    assert {t for t in ways if 100 <= t < 160} <= set(turns)
