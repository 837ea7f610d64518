"""The comparison with OpenCV runs where OpenCV is installed, and compares like with like."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs opencv-python-headless, which CodecSight does not use")

from benchmarks import opencv_comparison


def test_both_compute_nearly_the_same_pictures() -> None:
    rng = np.random.default_rng(1)
    rows = [
        opencv_comparison._warp(rng, "shift", opencv_comparison.translation(9.6, 8.3)),
        opencv_comparison._difference(rng),
    ]
    assert all(0 < row["error"] < 1 for row in rows)
