"""Pictures as what is compared."""

import numpy as np
import pytest

from codecsight.change.measurement.yuv_planes import slope


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2), (7, 3), (6, 20)])
def test_a_slope_is_the_mean_of_both_differences_with_the_border_repeated(
    shape: tuple[int, int],
) -> None:
    plane = np.random.default_rng(0).random(shape).astype(np.float32)
    around = np.pad(plane, 1, mode="edge")
    across, down = around[1:-1, 2:] - around[1:-1, :-2], around[2:, 1:-1] - around[:-2, 1:-1]
    assert np.allclose(slope(plane), (abs(across) + abs(down)) / 2, atol=1e-6)
