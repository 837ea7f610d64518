"""A camera that sinks on its mount, so slowly that all vectors are 0."""

import numpy as np
import pytest
from PIL import Image as PilImage

from codecsight.change.measurement.reference import Reference
from codecsight.change.measurement.yuv_planes import Picture
from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.slot import Slot
from tests.change.synthetic_camera import Image, SyntheticCamera

SLOTS = 16
LARGE = 4  # the scene has this many times the pixels of the picture, in each direction


@pytest.fixture
def scene(camera: SyntheticCamera) -> Image:
    """A textured scene that is larger than the picture."""
    shape = camera.grid.height + 32, camera.grid.width + 32
    texture = np.random.default_rng(3).integers(
        60, 190, (shape[0] // 4, shape[1] // 4, 3), np.uint8
    )
    size = shape[1] * LARGE, shape[0] * LARGE
    smooth = PilImage.fromarray(texture).resize(size, PilImage.Resampling.BICUBIC)
    return np.asarray(smooth)


def view(camera: SyntheticCamera, scene: Image, x: float, seed: int) -> Image:
    """The scene as a camera shows it that has turned by `x` pixels, with a little noise."""
    grid = camera.grid
    picture = PilImage.fromarray(scene).transform(
        (grid.width * LARGE, grid.height * LARGE),
        PilImage.Transform.AFFINE,
        (1, 0, (8 + x) * LARGE, 0, 1, 8 * LARGE),
        PilImage.Resampling.BILINEAR,
    )
    small = picture.resize((grid.width, grid.height), PilImage.Resampling.BOX)
    return camera.noisy(np.asarray(small), 0.7, seed)


def track(
    camera: SyntheticCamera, scene: Image, speed: float, policy: str = "tracked"
) -> list[Slot]:
    """Slots of a camera that turns by `speed` pixels a second; an object appears at the end."""
    tracker = ChangeTracker(camera.grid, make_policy(policy, camera.grid), anchor_every=1000)
    slots = []
    for number in range(2 * SLOTS):
        picture = view(camera, scene, speed * number / 2, number)
        if number >= 2 * SLOTS - 2:
            picture[36:44, 52:60] = 10  # cell (2, 3)
        slot = tracker.feed(camera.frame(picture, number / 2))
        slots += [slot] if slot else []
    return slots


@pytest.mark.parametrize("speed", [0.12, 0.45])
def test_a_slow_drift_keeps_few_cells_and_an_object_is_still_found(
    camera: SyntheticCamera, scene: Image, speed: float
) -> None:
    slots = track(camera, scene, speed)
    kept = np.mean([slot.kept.mean() for slot in slots[1:-1]])
    blind = np.mean([slot.kept.mean() for slot in track(camera, scene, speed, "pixels")[1:-1]])
    # One column of 8 shows new content.
    assert kept < 1 / 8
    assert kept < 0.6 * blind
    assert slots[-1].kept[2, 3]
    assert slots[-1].kept.sum() <= 12


@pytest.mark.parametrize("shift", [-0.7, 0.15, 1.4])
def test_a_reference_is_aligned_with_a_camera_that_has_drifted(
    camera: SyntheticCamera, scene: Image, shift: float
) -> None:
    reference = Reference(view(camera, scene, 0.0, 1), np.eye(3), margin=16)
    assert reference.realign(Picture(view(camera, scene, 0.0, 2))) is None
    warped = reference.realign(Picture(view(camera, scene, shift, 3)))
    assert warped is not None
    assert warped.motion is not None
    assert np.allclose(warped.motion[:2, 2], (shift, 0.0), atol=0.06)


def test_a_crowd_before_a_static_camera_is_no_drift(camera: SyntheticCamera, scene: Image) -> None:
    reference = Reference(view(camera, scene, 0.0, 1), np.eye(3), margin=16)
    crowd = view(camera, scene, 0.0, 2)
    for x in range(4, 120, 20):
        crowd[30:80, x : x + 8] = 40
    assert reference.realign(Picture(crowd)) is None
