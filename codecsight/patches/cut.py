"""Cutting cells out of pictures, and pasting them back."""

import numpy as np
from numpy.typing import NDArray

from codecsight.jit import cached_njit


def cut(pictures: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Copy the kept cells of `pictures` [frames, h, w, 3] to patches [kept, frames, 3, cell, cell].

    `kept` is a mask [rows, cols]; the patches are in its row-major order. h and w are rows and cols
    times the side of a cell.
    """
    return np.ascontiguousarray(_cells(pictures, kept.shape)[kept].transpose(0, 1, 4, 2, 3))


def paste(pictures: NDArray[np.uint8], kept: NDArray[np.bool_], patches: NDArray[np.uint8]) -> None:
    """Write `patches` [kept, frames, 3, cell, cell] to their cells of `pictures`, in place."""
    _paste(pictures, kept, patches)


@cached_njit
def _paste(
    pictures: NDArray[np.uint8], kept: NDArray[np.bool_], patches: NDArray[np.uint8]
) -> None:
    rows, cols = kept.shape
    cell_height, cell_width = pictures.shape[1] // rows, pictures.shape[2] // cols
    index = 0
    for row in range(rows):
        for col in range(cols):
            if not kept[row, col]:
                continue
            for frame in range(pictures.shape[0]):
                for y in range(cell_height):
                    left = col * cell_width
                    line = pictures[frame, row * cell_height + y, left : left + cell_width]
                    for x in range(cell_width):
                        for channel in range(3):
                            line[x, channel] = patches[index, frame, channel, y, x]
            index += 1


def _cells(pictures: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """View [frames, h, w, 3] as [rows, cols, frames, cell, cell, 3]."""
    frames, height, width, _ = pictures.shape
    rows, cols = shape
    tiles = pictures.reshape(frames, rows, height // rows, cols, width // cols, 3)
    return tiles.transpose(1, 3, 0, 2, 4, 5)
