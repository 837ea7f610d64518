from dataclasses import replace

import numpy as np
import pytest

from codecsight.world import FAMILIES, Actor, ActorKind, Renderer, Scene, Waypoint, ground_truth
from codecsight.world.scene.scene import Light, Style


def crossing(kind: ActorKind, identity: int = 1, colour: str = "red", height: float = 0.3) -> Actor:
    """An actor that crosses the picture from left to right in ten seconds."""
    path = (Waypoint(0, -0.2, 0.8), Waypoint(10, 1.2, 0.8))
    return Actor(identity, kind, colour, height, path)


def scene_with(*actors: Actor, **changes: object) -> Scene:
    """A scene with `actors` and no visitors."""
    return replace(Scene.random(1, "street"), actors=actors, traffic=0.0, **changes)


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("kind", list(ActorKind))
@pytest.mark.parametrize("size", [(128, 96), (144, 80), (640, 480)])
def test_an_actor_fills_its_box_and_changes_no_other_pixel(
    style: Style, kind: ActorKind, size: tuple[int, int]
) -> None:
    width, height = size
    aspect = width / height
    full = Renderer(scene_with(crossing(kind), aspect=aspect, style=style), width, height)
    empty = Renderer(scene_with(aspect=aspect), width, height)
    for t in (1.5, 3.0, 5.2, 7.9):
        changed = (full.clean_frame(t) != empty.clean_frame(t)).any(axis=2)
        (actor,) = ground_truth(full.scene, t).actors
        rows, cols = np.nonzero(changed)
        box = actor.box
        assert cols.min() + 0.5 >= max(0, box.left) * width
        assert cols.max() + 0.5 <= min(1, box.right) * width
        assert rows.min() + 0.5 >= box.top * height
        assert rows.max() + 0.5 <= box.bottom * height
        assert changed.any(axis=0).sum() >= 0.6 * (cols.max() + 1 - cols.min())
        if box.left > 0 and box.right < 1:
            assert cols.max() + 1 - cols.min() >= 0.7 * (box.right - box.left) * width - 2
            assert rows.max() + 1 - rows.min() >= 0.9 * (box.bottom - box.top) * height - 2


@pytest.mark.parametrize("family", FAMILIES)
def test_frames_do_not_depend_on_the_order_of_rendering(family: str) -> None:
    first = Renderer(Scene.random(7, family), 128, 96)
    second = Renderer(Scene.random(7, family), 128, 96)
    second.frame(3.0)
    np.testing.assert_array_equal(first.frame(1234.5), second.frame(1234.5))


def test_seeds_and_families_look_different() -> None:
    pictures = {
        Renderer(Scene.random(seed, family), 64, 48).clean_frame(0.0).tobytes()
        for seed in range(3)
        for family in FAMILIES
    }
    assert len(pictures) == 3 * len(FAMILIES)


def test_noise_differs_between_frames_and_has_the_scenes_amplitude() -> None:
    renderer = Renderer(scene_with(noise=4.0), 160, 120)
    frames = [renderer.frame(t).astype(float) for t in (0.0, 0.1, 0.2, 0.3)]
    assert np.std(frames[0] - frames[1]) == pytest.approx(4 * 2**0.5, rel=0.1)
    noiseless = Renderer(scene_with(noise=0.0, light=Light()), 160, 120)
    np.testing.assert_array_equal(noiseless.frame(0.0), noiseless.frame(0.1))


def test_nearer_actors_hide_farther_ones() -> None:
    near = replace(crossing(ActorKind.VEHICLE, 1, "blue", 0.4), path=(Waypoint(0, 0.5, 0.9),) * 2)
    far = replace(crossing(ActorKind.PERSON, 2, "red", 0.2), path=(Waypoint(0, 0.5, 0.85),) * 2)
    near, far = (
        replace(actor, path=(actor.path[0], replace(actor.path[1], time=9.0)))
        for actor in (near, far)
    )
    both, alone = scene_with(near, far), scene_with(far)
    assert ground_truth(both, 1.0).visible_fraction(2) < 0.2
    assert ground_truth(both, 1.0).visible_fraction(1) == 1.0
    assert ground_truth(alone, 1.0).visible_fraction(2) == 1.0


def test_the_light_drifts_with_the_scenes_period() -> None:
    light = Light(drift=0.2, period=40.0)
    renderer = Renderer(scene_with(light=light, noise=0.0), 64, 48)
    assert renderer.frame(10.0).mean() > 1.1 * renderer.frame(0.0).mean()
    assert renderer.frame(30.0).mean() < 0.9 * renderer.frame(0.0).mean()
