"""Orientation of pictures: display matrices, arrays, points, and shown sizes."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from codecsight.core.orientation import UPRIGHT, Orientation, shown_size

ALL = [Orientation(*bits) for bits in product((False, True), repeat=3)]
PICTURE = np.arange(6).reshape(2, 3)
ONE = 1 << 16


@pytest.mark.parametrize(
    ("matrix", "shown", "name"),
    [
        ((ONE, 0, 0, ONE), PICTURE, "upright"),
        ((0, ONE, -ONE, 0), np.rot90(PICTURE, -1), "turned 90° clockwise"),
        ((-ONE, 0, 0, -ONE), np.rot90(PICTURE, 2), "turned 180°"),
        ((0, -ONE, ONE, 0), np.rot90(PICTURE, 1), "turned 90° counter-clockwise"),
        ((-ONE, 0, 0, ONE), PICTURE[:, ::-1], "mirrored left to right"),
        ((ONE, 0, 0, -ONE), PICTURE[::-1], "mirrored top to bottom"),
        ((0, ONE, ONE, 0), PICTURE.T, "mirrored left to right, then turned 90° counter-clockwise"),
        (
            (0, -ONE, -ONE, 0),
            np.rot90(PICTURE[:, ::-1], -1),
            "mirrored left to right, then turned 90° clockwise",
        ),
    ],
)
def test_a_display_matrix_turns_and_mirrors(
    matrix: tuple[int, ...], shown: np.ndarray, name: str
) -> None:
    a, b, c, d = matrix
    orientation = Orientation.from_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
    assert np.array_equal(orientation.apply(PICTURE), shown)
    assert str(orientation) == name


@pytest.mark.parametrize("orientation", ALL, ids=str)
def test_the_matrix_of_an_orientation_gives_it_back(orientation: Orientation) -> None:
    assert Orientation.from_matrix(orientation.matrix) == orientation


@pytest.mark.parametrize(("degrees", "name"), [(3, "upright"), (-80, "turned 90° clockwise")])
def test_other_angles_are_rounded_to_a_quarter(degrees: float, name: str) -> None:
    turn = np.radians(degrees)
    cos, sin = round(2 * ONE * np.cos(turn)), round(2 * ONE * np.sin(turn))
    assert str(Orientation.from_matrix([cos, -sin, 0, sin, cos, 0, 0, 0, 1 << 30])) == name


@pytest.mark.parametrize("orientation", ALL, ids=str)
def test_points_move_with_their_pixels(orientation: Orientation) -> None:
    shown = orientation.apply(PICTURE)
    to_shown = orientation.affine((3, 2), (10 * shown.shape[1], 10 * shown.shape[0]))
    for row, col in np.ndindex(2, 3):
        x, y, _ = to_shown @ (col + 0.5, row + 0.5, 1.0)
        assert shown[int(y / 10), int(x / 10)] == PICTURE[row, col]
        assert (x % 10, y % 10) == pytest.approx((5, 5))


@pytest.mark.parametrize(
    ("orientation", "aspect", "size"),
    [
        (UPRIGHT, Fraction(1), (720, 576)),
        (UPRIGHT, Fraction(16, 15), (768, 576)),
        (UPRIGHT, Fraction(64, 45), (1024, 576)),
        (Orientation(transpose=True), Fraction(64, 45), (576, 1024)),
        (UPRIGHT, Fraction(0), (720, 576)),
        (UPRIGHT, Fraction(1, 255), (720, 576)),
        (UPRIGHT, Fraction(255), (720, 576)),
    ],
)
def test_shown_pixels_are_square(
    orientation: Orientation, aspect: Fraction, size: tuple[int, int]
) -> None:
    assert shown_size(720, 576, orientation, aspect) == size
