"""A camera in which a test puts a scene before the camera."""

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
    """A textured background as large as the model's input: 6 x 8 cells, so that one macroblock of
    the codec is one cell of the model.
    """

    grid: PatchGrid
    background: NDArray[np.uint8]

    def with_cell(self, row: int, col: int, level: int = 20) -> NDArray[np.uint8]:
        """The background with one cell painted grey."""
        changed = self.background.copy()
        changed[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL] = level
        return changed

    def noisy(self, image: NDArray[np.uint8], sigma: float, seed: int) -> NDArray[np.uint8]:
        noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    def signals(self, kind: str = "P", **moving: tuple[int, int, float]) -> FrameSignals:
        """Signals of a frame in which each named block (row, col, speed) moves to the right."""
        motion = np.zeros((6, 8, 2), np.float32)
        for row, col, speed in moving.values():
            motion[row, col, 0] = speed
        return FrameSignals(kind, 1000, motion=motion, intra=np.zeros((6, 8), np.float32))  # type: ignore[arg-type]

    def frame(
        self, image: NDArray[np.uint8], time: float, signals: FrameSignals | None = None
    ) -> Frame:
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        return Frame(picture, time, 1_000_000 + time, signals or self.signals())

    def slot(self, *images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Sampled pictures [frames, h, w, 3]; one image stands for both frames."""
        return np.stack(images if len(images) == 2 else images * 2)
