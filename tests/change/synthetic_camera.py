"""A synthetic camera: pictures, codec signals and frames of a scene that a test composes."""

from dataclasses import dataclass

import av
import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import Frame, FrameSignals
from codecsight.core.grid import PatchGrid

CELL = 16
Image = NDArray[np.uint8]


@dataclass
class SyntheticCamera:
    """A camera before a textured background of the size of the model's input: 6 x 8 cells of 16
    pixels, so that one macroblock of the codec is one cell of the model.
    """

    grid: PatchGrid
    background: Image

    def with_cell(self, row: int, col: int, level: int = 20) -> Image:
        """The background with one cell painted grey."""
        changed = self.background.copy()
        changed[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL] = level
        return changed

    def noisy(self, image: Image, sigma: float, seed: int) -> Image:
        """The image with Gaussian noise of `sigma` grey levels."""
        noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    def signals(self, kind: str = "P", **moving: tuple[int, int, float]) -> FrameSignals:
        """Signals of a frame in which each named block (row, col, speed) moves to the right."""
        motion = np.zeros((6, 8, 2), np.float32)
        for row, col, speed in moving.values():
            motion[row, col, 0] = speed
        return FrameSignals(kind, 1000, motion=motion, intra=np.zeros((6, 8), np.float32))  # type: ignore[arg-type]

    def frame(self, image: Image, time: float, signals: FrameSignals | None = None) -> Frame:
        """A decoded frame of the image, without motion unless `signals` are given."""
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        return Frame(picture, time, 1_000_000 + time, signals or self.signals())

    def slot(self, *images: Image) -> Image:
        """Sampled pictures [frames, h, w, 3]; one image stands for both frames."""
        return np.stack(images if len(images) == 2 else images * 2)
