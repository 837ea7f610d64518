"""Codec signals of a moving camera."""

import numpy as np

from codecsight.core.frame import FrameSignals

ROWS, COLS = 23, 40  # macroblocks of 640 x 360 pixels


def moving_signals(
    x: float, y: float, zoom: float = 0.0, outliers: float = 0.0, noise: float = 0.0
) -> FrameSignals:
    """Signals of a frame whose content moves by (x, y) pixels and expands by `zoom` per pixel from
    the centre. A share of `outliers` moves by (7, -5); `noise` is in pixels.
    """
    rng = np.random.default_rng(1)
    dx = (np.arange(COLS) + 0.5) * 16 - 320
    dy = ((np.arange(ROWS) + 0.5) * 16 - 180)[:, None]
    motion = np.stack(np.broadcast_arrays(x + zoom * dx, y + zoom * dy), axis=-1)
    motion = motion + rng.normal(0, noise, motion.shape)
    motion[rng.random((ROWS, COLS)) < outliers] = (7.0, -5.0)
    intra = np.zeros((ROWS, COLS), np.float32)
    return FrameSignals("P", 1000, motion=motion.astype(np.float32), intra=intra)
