"""Resampling of a row of points gives the same values as resampling each point alone."""

import numpy as np
import pytest

from codecsight.change.measurement.resampling import (
    bicubic_at,
    bicubic_row,
    transform_row,
    visibility_at,
    visibility_row,
)

RNG = np.random.default_rng(8)
IMAGE = RNG.uniform(0, 255, (3, 50, 90)).astype(np.float32)
VISIBILITY = (RNG.random((50, 90)) < 0.9).astype(np.float32)
MOTIONS = {
    "identity": (0.0, 1.0, 0.0, 0.0),
    "translated": (0.0, 1.0, 0.3, -2.6),
    "translated beyond the border": (0.0, 1.0, 70.5, 30.5),
    "slightly rotated": (0.004, 1.002, 3.3, 1.2),
    "zoomed": (0.0, 1.05, -5.0, -2.0),
    "rotated": (0.3, 0.8, 9.0, -7.0),
    "upside down": (3.1, 1.0, 85.0, 48.0),
}


@pytest.mark.parametrize("parameters", MOTIONS.values(), ids=MOTIONS.keys())
def test_a_row_of_points_is_resampled_like_single_points(
    parameters: tuple[float, float, float, float],
) -> None:
    angle, zoom, x, y = parameters
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    motion = np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])
    for row in range(0, 50, 3):
        points = transform_row(motion, 0, row, 90)
        visibility, values = np.empty(90, np.float32), np.empty((2, 90), np.float32)
        visibility_row(VISIBILITY, points, visibility)
        bicubic_row(IMAGE, points, visibility, values)
        for n in range(90):
            expected = (motion @ (n + 0.5, row + 0.5, 1))[:2] - 0.5
            assert np.allclose((points[0][n], points[1][n]), expected)
            assert visibility[n] == visibility_at(VISIBILITY, points[0][n], points[1][n])
            single = np.zeros(2, np.float32)
            if visibility[n] > 0:
                bicubic_at(IMAGE, points[0][n], points[1][n], single)
            assert (values[:, n] == single).all()
