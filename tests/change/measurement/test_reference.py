"""What was shipped, as a camera that moved sees it."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from codecsight.change.measurement.camera_motion import IDENTITY
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.reference import Reference
from codecsight.change.measurement.warp import translation
from codecsight.change.measurement.yuv_planes import Picture, RgbImage, is_picture

WIDE, HIGH, MARGIN = 160, 96, 16


def scene() -> RgbImage:
    """A plane larger than the picture, smooth enough to be shifted by parts of a pixel."""
    noise = np.random.default_rng(2).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)))


def look(x: int, y: int) -> Picture:
    return Picture(scene()[40 + y : 40 + y + HIGH, 60 + x : 60 + x + WIDE])


NOTHING = np.zeros((HIGH // MARGIN, WIDE // MARGIN), np.bool_)


def test_a_still_camera_sees_what_was_shipped_bit_for_bit() -> None:
    reference = Reference(look(0, 0).picture, IDENTITY, MARGIN)
    seen = reference.seen(look(0, 0), IDENTITY)
    assert seen.motion is None
    assert np.array_equal(seen.picture, look(0, 0).picture)


def test_what_was_shipped_stays_exact_until_the_light_changes() -> None:
    reference, new = Reference(look(0, 0).picture, IDENTITY, MARGIN), look(3, 0)
    kept = NOTHING.copy()
    kept[1, 2] = True
    for tone, exact in ((Exposure(), True), (Exposure(0.8), False)):
        seen = reference.seen(new, IDENTITY)
        reference.ship(new, kept, IDENTITY, seen, tone)
        now = reference.seen(new, IDENTITY).picture
        assert is_picture(now) is exact
        cell = np.s_[MARGIN : 2 * MARGIN, 2 * MARGIN : 3 * MARGIN]
        shipped = new.picture[cell] if exact else new.planes[:, *cell]
        assert np.array_equal(now[cell] if exact else now[:, *cell], shipped)
    reference.renew(new, IDENTITY, reference.seen(new, IDENTITY))
    assert np.array_equal(reference.seen(new, IDENTITY).picture, new.picture)


@pytest.mark.parametrize("guess", [(5, -3), (5.8, -2.3)])
def test_after_a_turn_it_lines_up_and_knows_what_it_never_saw(guess: tuple[float, float]) -> None:
    """The codec's account may be off by part of a pixel: the pixels make it exact."""
    reference = Reference(look(0, 0).picture, IDENTITY, MARGIN)
    seen = reference.seen(look(5, -3), translation(*guess))
    assert seen.motion is not None
    assert seen.motion[:2, 2] == pytest.approx([5, -3], abs=0.05)
    assert seen.known is not None
    assert (seen.known[4:, :-6] > 0.999).all()
    assert (seen.known[:, -4:] == 0).all()
    inner = np.s_[5:-5, 5:-8]
    assert np.abs(seen.picture[0][inner] - look(5, -3).planes[0][inner]).mean() < 1


def test_a_camera_that_sways_comes_back_to_what_it_remembers_beyond_the_border() -> None:
    reference = Reference(look(0, 0).picture, IDENTITY, MARGIN)
    for x, kept in ((6, ~NOTHING), (0, NOTHING)):
        pose = translation(x, 0)
        seen = reference.seen(look(x, 0), pose)
        reference.ship(look(x, 0), kept, pose, seen, Exposure())
    again = reference.seen(look(6, 0), translation(6, 0))
    assert again.known is not None
    assert (again.known > 0.999).mean() > 0.98
    assert np.abs(again.picture[0] - look(6, 0).planes[0]).mean() < 1


def test_many_small_moves_do_not_blur_what_was_shipped_once() -> None:
    reference = Reference(look(0, 0).picture, IDENTITY, MARGIN)
    for step in range(1, 13):
        pose = translation(0.3 * step, 0)
        seen = reference.seen(look(round(0.3 * step), 0), pose)
        reference.ship(look(round(0.3 * step), 0), NOTHING, pose, seen, Exposure())
    seen = reference.seen(look(4, 0), translation(4, 0))
    inner = np.s_[4:-4, 4:-8]
    sharpness = [
        np.abs(np.diff(p[0][inner], axis=1)).mean() for p in (seen.picture, look(4, 0).planes)
    ]
    assert sharpness[0] > 0.95 * sharpness[1]


def test_light_that_changed_is_worked_into_what_was_not_shipped_anew() -> None:
    reference = Reference(look(0, 0).picture, IDENTITY, MARGIN)
    dim = Picture((scene()[40 : 40 + HIGH, 60 : 60 + WIDE] * 0.8).astype(np.uint8))
    kept = NOTHING.copy()
    kept[:2, :2] = True
    reference.ship(dim, kept, IDENTITY, reference.seen(dim, IDENTITY), Exposure(0.8))
    assert np.abs(reference.seen(dim, IDENTITY).picture - dim.planes).max() <= 2
