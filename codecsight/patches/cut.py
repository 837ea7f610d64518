"""Between whole pictures and the cells they are made of."""

import numpy as np
from numpy.typing import NDArray

from codecsight.jit import cached_njit


def cut(pictures: NDArray[np.uint8], kept: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The kept cells of `pictures` [frames, h, w, 3], as [kept, frames, 3, cell, cell] in
    row-major order of `kept` [rows, cols]; h and w are rows and cols times the cell's side.
    """
    return np.ascontiguousarray(_cells(pictures, kept.shape)[kept].transpose(0, 1, 4, 2, 3))


def paste(pictures: NDArray[np.uint8], kept: NDArray[np.bool_], patches: NDArray[np.uint8]) -> None:
    """Write `patches` [kept, frames, 3, cell, cell] into their places in `pictures`, in place."""
    _paste(pictures, kept, patches)


@cached_njit
def _paste(
    pictures: NDArray[np.uint8], kept: NDArray[np.bool_], patches: NDArray[np.uint8]
) -> None:
    rows, cols = kept.shape
    high, wide = pictures.shape[1] // rows, pictures.shape[2] // cols
    number = 0
    for row in range(rows):
        for col in range(cols):
            if not kept[row, col]:
                continue
            for frame in range(pictures.shape[0]):
                for y in range(high):
                    into = pictures[frame, row * high + y, col * wide : (col + 1) * wide]
                    for x in range(wide):
                        for colour in range(3):
                            into[x, colour] = patches[number, frame, colour, y, x]
            number += 1


def _cells(pictures: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A view of [frames, h, w, 3] as [rows, cols, frames, cell, cell, 3]."""
    frames, height, width, _ = pictures.shape
    rows, cols = shape
    tiles = pictures.reshape(frames, rows, height // rows, cols, width // cols, 3)
    return tiles.transpose(1, 3, 0, 2, 4, 5)
