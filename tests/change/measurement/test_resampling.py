"""Points of a run are what each of them is by itself."""

import numpy as np
import pytest

from codecsight.change.measurement.resampling import cover, covers, points, sample, samples

RNG = np.random.default_rng(8)
PICTURE = RNG.uniform(0, 255, (3, 50, 90)).astype(np.float32)
KNOWN = (RNG.random((50, 90)) < 0.9).astype(np.float32)
TURNS = {
    "still": (0.0, 1.0, 0.0, 0.0),
    "slid": (0.0, 1.0, 0.3, -2.6),
    "slid beyond the border": (0.0, 1.0, 70.5, 30.5),
    "slightly turned": (0.004, 1.002, 3.3, 1.2),
    "zoomed": (0.0, 1.05, -5.0, -2.0),
    "turned": (0.3, 0.8, 9.0, -7.0),
    "upside down": (3.1, 1.0, 85.0, 48.0),
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_points_in_a_row_are_sampled_and_covered_as_one_by_one(
    turn: tuple[float, float, float, float],
) -> None:
    angle, zoom, x, y = turn
    cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
    motion = np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])
    for row in range(0, 50, 3):
        line = points(motion, 0, row, 90)
        covered, found = np.empty(90, np.float32), np.empty((2, 90), np.float32)
        covers(KNOWN, line, covered)
        samples(PICTURE, line, covered, found)
        for n in range(90):
            at = (motion @ (n + 0.5, row + 0.5, 1))[:2] - 0.5
            assert np.allclose((line[0][n], line[1][n]), at)
            assert covered[n] == cover(KNOWN, line[0][n], line[1][n])
            alone = np.zeros(2, np.float32)
            if covered[n] > 0:
                sample(PICTURE, line[0][n], line[1][n], alone)
            assert (found[:, n] == alone).all()
