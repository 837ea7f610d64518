"""References: what was shipped, warped to the current view."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from codecsight.change.measurement.camera_motion import IDENTITY
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.reference import Reference
from codecsight.change.measurement.warp import translation
from codecsight.change.measurement.yuv_planes import Picture, RgbImage, is_rgb

WIDE, HIGH, MARGIN = 160, 96, 16


def scene() -> RgbImage:
    """A scene larger than the picture, smooth enough for shifts by parts of a pixel."""
    noise = np.random.default_rng(2).integers(0, 255, (200, 300, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2)))


def view(x: int, y: int) -> Picture:
    """The picture of a camera that has turned by (x, y) pixels."""
    return Picture(scene()[40 + y : 40 + y + HIGH, 60 + x : 60 + x + WIDE])


NO_CELLS = np.zeros((HIGH // MARGIN, WIDE // MARGIN), np.bool_)


def test_a_static_camera_gets_what_was_shipped_bit_for_bit() -> None:
    reference = Reference(view(0, 0).rgb, IDENTITY, MARGIN)
    warped = reference.warp_to(view(0, 0), IDENTITY)
    assert warped.motion is None
    assert np.array_equal(warped.image, view(0, 0).rgb)


def test_what_was_shipped_stays_rgb_until_the_exposure_changes() -> None:
    reference, new = Reference(view(0, 0).rgb, IDENTITY, MARGIN), view(3, 0)
    kept = NO_CELLS.copy()
    kept[1, 2] = True
    for exposure, exact in ((Exposure(), True), (Exposure(0.8), False)):
        warped = reference.warp_to(new, IDENTITY)
        reference.update(new, kept, IDENTITY, warped, exposure)
        image = reference.warp_to(new, IDENTITY).image
        assert is_rgb(image) is exact
        cell = np.s_[MARGIN : 2 * MARGIN, 2 * MARGIN : 3 * MARGIN]
        shipped = new.rgb[cell] if exact else new.yuv[:, *cell]
        assert np.array_equal(image[cell] if exact else image[:, *cell], shipped)
    reference.replace(new, IDENTITY, reference.warp_to(new, IDENTITY))
    assert np.array_equal(reference.warp_to(new, IDENTITY).image, new.rgb)


@pytest.mark.parametrize("estimate", [(5, -3), (5.8, -2.3)])
def test_after_a_turn_the_reference_is_aligned_and_new_content_is_invisible(
    estimate: tuple[float, float],
) -> None:
    """The codec's estimate may be off by part of a pixel: registration corrects it."""
    reference = Reference(view(0, 0).rgb, IDENTITY, MARGIN)
    warped = reference.warp_to(view(5, -3), translation(*estimate))
    assert warped.motion is not None
    assert warped.motion[:2, 2] == pytest.approx([5, -3], abs=0.05)
    assert warped.visibility is not None
    assert (warped.visibility[4:, :-6] > 0.999).all()
    assert (warped.visibility[:, -4:] == 0).all()
    inner = np.s_[5:-5, 5:-8]
    assert np.abs(warped.image[0][inner] - view(5, -3).yuv[0][inner]).mean() < 1


def test_the_margin_keeps_content_for_a_camera_that_sways_back() -> None:
    reference = Reference(view(0, 0).rgb, IDENTITY, MARGIN)
    for x, kept in ((6, ~NO_CELLS), (0, NO_CELLS)):
        transform = translation(x, 0)
        warped = reference.warp_to(view(x, 0), transform)
        reference.update(view(x, 0), kept, transform, warped, Exposure())
    again = reference.warp_to(view(6, 0), translation(6, 0))
    assert again.visibility is not None
    assert (again.visibility > 0.999).mean() > 0.98
    assert np.abs(again.image[0] - view(6, 0).yuv[0]).mean() < 1


def test_many_small_moves_do_not_blur_the_reference() -> None:
    reference = Reference(view(0, 0).rgb, IDENTITY, MARGIN)
    for step in range(1, 13):
        transform = translation(0.3 * step, 0)
        new = view(round(0.3 * step), 0)
        reference.update(new, NO_CELLS, transform, reference.warp_to(new, transform), Exposure())
    warped = reference.warp_to(view(4, 0), translation(4, 0))
    inner = np.s_[4:-4, 4:-8]
    sharpness = [
        np.abs(np.diff(planes[0][inner], axis=1)).mean()
        for planes in (warped.image, view(4, 0).yuv)
    ]
    assert sharpness[0] > 0.95 * sharpness[1]


def test_a_change_of_exposure_is_applied_to_cells_that_are_not_shipped() -> None:
    reference = Reference(view(0, 0).rgb, IDENTITY, MARGIN)
    dim = Picture((scene()[40 : 40 + HIGH, 60 : 60 + WIDE] * 0.8).astype(np.uint8))
    kept = NO_CELLS.copy()
    kept[:2, :2] = True
    reference.update(dim, kept, IDENTITY, reference.warp_to(dim, IDENTITY), Exposure(0.8))
    assert np.abs(reference.warp_to(dim, IDENTITY).image - dim.yuv).max() <= 2
