"""Scenes that are difficult for change detection."""

from dataclasses import replace

import numpy as np
import pytest

from codecsight.core.errors import CodecSightError
from codecsight.world import Renderer, Scene, ground_truth
from codecsight.world.rendering.overlays import CLOCK_BOX
from codecsight.world.scene.conditions import CONDITIONS, condition_scene
from codecsight.world.scene.scene import Light, Style
from codecsight.world.scene.view import PtzPosition, View


def renderer(name: str, seed: int = 4) -> Renderer:
    return Renderer(condition_scene(name, seed, "street", 16 / 9), 320, 180)


@pytest.mark.parametrize("name", CONDITIONS)
def test_frames_do_not_depend_on_the_order_of_rendering(name: str) -> None:
    second = renderer(name)
    second.frame(0.0)
    picture = renderer(name).frame(7.3)
    assert picture.shape == (180, 320, 3)
    assert np.array_equal(picture, second.frame(7.3))


def test_an_unknown_condition_is_refused_with_the_known_names() -> None:
    with pytest.raises(CodecSightError, match="'fog'; known: calm"):
        condition_scene("fog", 1)


def test_a_panning_camera_shows_the_same_scene_shifted() -> None:
    pan = renderer("pan")
    first, later = pan.scene.view.region(2.0), pan.scene.view.region(3.0)
    step = (later.left - first.left) / first.size * 320
    assert 8 < step < 25
    before, after = (pan.clean_frame(t).astype(int) for t in (2.0, 3.0))
    shift = round(step)
    aligned = np.abs(before[:60, shift:] - after[:60, :-shift]).mean()
    assert aligned < 3 < np.abs(before - after)[:60].mean()


def test_the_scene_image_does_not_depend_on_the_camera_motion() -> None:
    shake = renderer("shake")
    top = [shake.scene_image(t)[:40] for t in (1.0, 1.3)]
    assert np.array_equal(*top)
    assert not np.array_equal(shake.clean_frame(1.0)[:30], shake.clean_frame(1.3)[:30])


def test_a_view_moves_linearly_between_positions_and_stays_within_the_scene() -> None:
    view = View((PtzPosition(0, 0.5, 0.5, 2.0), PtzPosition(10, 1.0, 0.5, 4.0)), shake=0.01)
    assert view.region(-1).size == 0.5
    assert view.region(5).size == pytest.approx(1 / 3)
    region = view.region(20)
    assert region.left + region.size <= 1
    assert view.zoom == 4.0


def test_a_switched_lamp_changes_the_picture_without_any_actor() -> None:
    state = renderer("state")
    lamp = state.scene.effects[0]
    assert not state.scene.actors
    dark, lit = state.clean_frame(lamp.on - 0.1), state.clean_frame(lamp.on + 0.1)
    assert np.abs(lit.astype(int) - dark).max() > 20
    assert np.array_equal(dark, state.clean_frame(lamp.on - 0.2))


def test_visitors_exist_only_between_the_half_second_samples() -> None:
    scene = condition_scene("visitor", 4)
    assert not any(scene.actors_at(n / 2) for n in range(60))
    assert any(scene.actors_at(n / 20) for n in range(60))


def test_an_unfamiliar_scene_has_the_usual_visitors_and_boxes_but_other_pictures() -> None:
    scene, default = condition_scene("unfamiliar", 4, "plaza"), Scene.random(4, "plaza")
    usual, times = replace(scene, style=Style.DEFAULT), [n * 5.0 for n in range(12)]
    assert [s.actors_at(10.0) for s in (scene, usual)] == [default.actors_at(10.0)] * 2
    for t in (t for t in times if default.actors_at(t)):
        boxes = [[(a.identity, a.box) for a in ground_truth(s, t).actors] for s in (scene, usual)]
        assert boxes[0] == boxes[1]
        visible = any(a.visible_fraction > 0 for a in ground_truth(scene, t).actors)
        pictures = [Renderer(s, 320, 240).clean_frame(t) for s in (scene, usual)]
        assert np.array_equal(*pictures) != visible


def test_scenes_without_a_condition_have_none_of_its_features() -> None:
    scene = Scene.random(3, "street")
    assert not scene.effects
    assert not scene.per_frame_noise
    assert scene.view.region(5.0).size == 1.0


def test_rain_falls_at_new_places_in_every_frame_and_not_on_the_scene_image() -> None:
    rain = renderer("rain")
    calm = Renderer(replace(rain.scene, rain=0, light=Light(), noise=0.0), 320, 180)
    wet = Renderer(replace(calm.scene, rain=60), 320, 180)
    first, second = ((wet.frame(t) != calm.frame(t)).any(axis=2) for t in (1.0, 1.1))
    assert 0.002 < first.mean() < 0.1
    assert (first & second).sum() < 0.3 * first.sum()
    assert np.array_equal(wet.scene_image(1.0), calm.scene_image(1.0))


def test_distant_actors_are_small_and_slow() -> None:
    scene = condition_scene("tiny", 4)
    assert all(actor.height * 480 < 40 for actor in scene.actors)
    speeds = [abs(actor.velocity(t)[0]) for actor in scene.actors for t in range(60)]
    assert 0 < max(speeds) <= 0.05


def test_ground_truth_boxes_follow_pan_and_zoom() -> None:
    ptz = renderer("ptz", 6)
    empty = Renderer(replace(ptz.scene, actors=()), 320, 180)
    for t in (1.0, 12.0, 20.0):
        changed = (ptz.clean_frame(t) != empty.clean_frame(t)).any(axis=2)
        boxes = np.zeros_like(changed)
        for actor in ground_truth(ptz.scene, t).actors:
            box = actor.box
            rows = slice(max(round(box.top * 180) - 2, 0), max(round(box.bottom * 180) + 2, 0))
            cols = slice(max(round(box.left * 320) - 2, 0), max(round(box.right * 320) + 2, 0))
            boxes[rows, cols] = True
        assert not (changed & ~boxes).any()
    assert changed.any()


def test_a_drifting_camera_moves_by_less_than_a_pixel_a_second() -> None:
    view = condition_scene("camera-drift", 4, "street", 16 / 9).view
    first, later = view.region(2.0), view.region(3.0)
    x, y = (later.left - first.left) / first.size, (later.top - first.top) / first.size
    assert 0.2 <= np.hypot(x, y) * 640 <= 0.6


def test_exposure_halves_and_returns() -> None:
    light = condition_scene("exposure-swing", 4).light
    brightness = [light.factor(t / 10) for t in range(101)]
    assert max(brightness) == pytest.approx(2 * min(brightness), rel=0.01)
    assert brightness[0] == pytest.approx(brightness[100])


def test_insects_fly_over_the_picture_and_are_no_part_of_the_scene() -> None:
    insects = renderer("insects")
    calm = Renderer(replace(insects.scene, insects=0.0), 320, 180)
    bright = [(insects.frame(t / 20) > calm.frame(t / 20)).any(axis=2).mean() for t in range(60)]
    assert 0.3 < np.mean(np.array(bright) > 0) < 1
    assert max(bright) < 0.5
    assert np.array_equal(insects.clean_frame(1.0), calm.clean_frame(1.0))


def test_a_clock_changes_once_a_second_and_only_in_its_box() -> None:
    clock = Renderer(replace(renderer("clock").scene, noise=0.0, actors=()), 320, 180)
    assert np.array_equal(clock.frame(5.1), clock.frame(5.9))
    rows, cols = np.nonzero((clock.frame(5.9) != clock.frame(6.1)).any(axis=2))
    assert CLOCK_BOX.top <= rows.min() / 180
    assert rows.max() / 180 < CLOCK_BOX.bottom
    assert CLOCK_BOX.left <= cols.min() / 320
    assert cols.max() / 320 < CLOCK_BOX.right
    assert np.array_equal(clock.scene_image(5.9), clock.scene_image(6.1))
