"""The debugging overlay on turned and stretched pictures."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from codecsight.change.overlay import draw_overlay, padded
from codecsight.core.orientation import UPRIGHT, Orientation
from tests.change.synthetic_camera import SyntheticCamera

CLOCKWISE = Orientation(transpose=True, flip_x=True)


@pytest.mark.parametrize(
    ("orientation", "aspect", "centre", "drawn"),
    [
        # Block (2, 3) of 16 pixels moves right by 8 pixels, drawn three times as long.
        (UPRIGHT, Fraction(1), (56, 40), (24, 0)),
        (UPRIGHT, Fraction(2), (112, 40), (48, 0)),
        (CLOCKWISE, Fraction(1), (96 - 40, 56), (0, 24)),
        (Orientation(flip_x=True), Fraction(1), (128 - 56, 40), (-24, 0)),
    ],
    ids=["upright", "wide pixels", "turned", "mirrored"],
)
def test_vectors_are_drawn_where_a_person_sees_the_motion(
    camera: SyntheticCamera,
    orientation: Orientation,
    aspect: Fraction,
    centre: tuple[int, int],
    drawn: tuple[int, int],
) -> None:
    signals = replace(camera.signals(a=(2, 3, 8.0)), orientation=orientation)
    frame = camera.frame(np.full_like(camera.background, 128), 0.0, signals)
    frame.sample_aspect = aspect
    image = draw_overlay(frame, camera.grid, None)
    assert image.shape == (frame.height + 18, frame.width, 3)
    red = (image[..., 0] > 200) & (image[..., 1] < 120)
    rows, cols = np.nonzero(red)
    ends = (centre[0] + drawn[0], centre[1] + drawn[1])
    box = [min(centre[0], ends[0]), max(centre[0], ends[0]), min(centre[1], ends[1])]
    assert [cols.min(), cols.max(), rows.min()] == pytest.approx(box, abs=2)
    assert rows.max() == pytest.approx(max(centre[1], ends[1]), abs=2)


def test_a_picture_of_another_size_gets_borders(camera: SyntheticCamera) -> None:
    image = padded(np.full((96, 64, 3), 200, np.uint8), (96, 128, 3))
    assert image.shape == (96, 128, 3)
    assert (image[:, 40:88] == 200).all()
    assert not image[:, :30].any()
    assert padded(camera.background, (96, 128, 3)) is camera.background
