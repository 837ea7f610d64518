import math
from dataclasses import replace

import numpy as np
import pytest

from codecsight.world import Box, Renderer
from codecsight.world.scene.conditions import condition_scene
from codecsight.world.scene.effects import Effect, Fire, Lamp, Smoke
from codecsight.world.scene.scene import Scene

EFFECTS = (
    Lamp(0.3, 0.3, 0.12, 5.0, 15.0, housing=(30, 30, 30)),
    Smoke(0.5, 0.7, 0.1, 5.0, end=15.0, contrast=60),
    Fire(0.6, 0.8, 0.06, 5.0, 15.0),
)


def pictures(effect: Effect, *times: float) -> list[np.ndarray]:
    scene = replace(Scene.random(8, "hall"), actors=(), traffic=0.0)
    renderer = Renderer(replace(scene, effects=(effect,)), 200, 150)
    return [renderer.clean_frame(t).astype(int) for t in times]


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.kind)
def test_an_effect_is_visible_while_it_lasts_and_only_within_its_box(effect: Effect) -> None:
    before, during, after = pictures(effect, 4.0, 12.0, 40.0)
    changed = (before != during).any(axis=2)
    assert np.abs(before - during).max() > 20
    assert np.array_equal(before, after)
    box: Box = effect.box(4 / 3)
    rows, cols = np.nonzero(changed)
    assert box.left * 200 <= cols.min() + 1
    assert cols.max() <= box.right * 200
    assert box.top * 150 <= rows.min() + 1
    assert rows.max() <= box.bottom * 150


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.kind)
def test_the_strength_is_0_before_and_after_and_1_in_between(effect: Effect) -> None:
    assert [effect.strength(t) for t in (4.9, 12.0, 40.0)] == [0.0, 1.0, 0.0]
    assert effect.change_times(0.0, 100.0) == (5.0, 15.0)
    assert effect.change_times(6.0, 15.0) == ()


def test_smoke_without_an_end_never_stops() -> None:
    smoke = Smoke(0.5, 0.7, 0.1, 5.0)
    assert smoke.strength(1e6) == 1.0
    assert smoke.change_times(0.0, math.inf) == (5.0,)


def test_effects_are_painted_behind_actors() -> None:
    scene = condition_scene("calm", 3)
    fire = Fire(0.5, 0.9, 0.3, 0.0, 99.0)
    plain, burning = (Renderer(replace(scene, effects=e), 160, 120) for e in ((), (fire,)))
    tallest = max(scene.actors_at(6.0), key=lambda actor: actor.height)
    box = tallest.box(6.0, scene.aspect)
    row, col = int((box.top + box.bottom) / 2 * 120), int((box.left + box.right) / 2 * 160)
    assert np.array_equal(plain.clean_frame(6.0)[row, col], burning.clean_frame(6.0)[row, col])
