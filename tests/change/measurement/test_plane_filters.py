"""Filters over one plane, compared with plain numpy."""

import numpy as np
import pytest

from codecsight.change.measurement.plane_filters import local_gradient


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (7, 3), (6, 20)])
def test_the_local_gradient_is_the_l1_norm_of_central_differences(
    shape: tuple[int, int],
) -> None:
    plane = np.random.default_rng(0).random(shape).astype(np.float32)
    padded = np.pad(plane, 1, mode="edge")
    dx, dy = padded[1:-1, 2:] - padded[1:-1, :-2], padded[2:, 1:-1] - padded[:-2, 1:-1]
    assert np.allclose(local_gradient(plane), (abs(dx) + abs(dy)) / 2, atol=1e-6)
