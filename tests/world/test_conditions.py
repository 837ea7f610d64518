"""Conditions that are hard on who looks for change."""

import numpy as np
import pytest

from codecsight.errors import CodecSightError
from codecsight.world import Renderer, Scene
from codecsight.world.conditions import CONDITIONS, condition
from codecsight.world.view import Aim, View


def renderer(name: str, seed: int = 4) -> Renderer:
    return Renderer(condition(name, seed, "street", 16 / 9), 320, 180)


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_moment_always_looks_the_same(name: str) -> None:
    second = renderer(name)
    second.frame(0.0)
    picture = renderer(name).frame(7.3)
    assert picture.shape == (180, 320, 3)
    assert np.array_equal(picture, second.frame(7.3))


def test_an_unknown_condition_is_refused_with_those_there_are() -> None:
    with pytest.raises(CodecSightError, match="'fog'; there are: calm"):
        condition("fog", 1)


def test_a_camera_that_turns_shows_the_same_scene_elsewhere() -> None:
    pan = renderer("pan")
    first, later = pan.scene.view.window(2.0), pan.scene.view.window(3.0)
    step = (later.left - first.left) / first.size * 320
    assert 8 < step < 25
    before, after = (pan.clean(t).astype(int) for t in (2.0, 3.0))
    whole = round(step)
    still = np.abs(before[:60, whole:] - after[:60, :-whole]).mean()
    assert still < 3 < np.abs(before - after)[:60].mean()


def test_the_plane_lies_still_whatever_the_camera_does() -> None:
    shake = renderer("shake")
    top = [shake.plane(t)[:40] for t in (1.0, 1.3)]
    assert np.array_equal(*top)
    assert not np.array_equal(shake.clean(1.0)[:30], shake.clean(1.3)[:30])


def test_a_view_goes_from_aim_to_aim_and_never_beyond_the_scene() -> None:
    view = View((Aim(0, 0.5, 0.5, 2.0), Aim(10, 1.0, 0.5, 4.0)), shake=0.01)
    assert view.window(-1).size == 0.5
    assert view.window(5).size == pytest.approx(1 / 3)
    window = view.window(20)
    assert window.left + window.size <= 1
    assert view.zoom == 4.0


def test_a_lamp_changes_the_picture_though_nobody_moves() -> None:
    state = renderer("state")
    lamp = state.scene.effects[0]
    assert not state.scene.actors
    dark, lit = state.clean(lamp.on - 0.1), state.clean(lamp.on + 0.1)
    assert np.abs(lit.astype(int) - dark).max() > 20
    assert np.array_equal(dark, state.clean(lamp.on - 0.2))


def test_visitors_are_gone_whenever_others_look() -> None:
    scene = condition("visitor", 4)
    assert not any(scene.present(n / 2) for n in range(60))
    assert any(scene.present(n / 20) for n in range(60))


def test_other_scenes_have_nothing_of_it() -> None:
    scene = Scene.random(3, "street")
    assert not scene.effects
    assert not scene.grainy
    assert scene.view.window(5.0).size == 1.0
