"""Pictures as another pose of the camera would show them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codecsight.change.camera_motion import Matrix

Picture = NDArray[np.uint8]
Cover = NDArray[np.uint8]
"""How much of each pixel counts: 255 is all of it."""


def warp(picture: Picture, motion: Matrix, size: tuple[int, int]) -> Picture:
    """The picture of `size` (width, height) in which each point shows what [h, w, 3] `picture` has
    at `motion` of it; black where it has nothing.
    """
    return _transformed(picture, motion, size, Image.Resampling.BICUBIC)


def warp_cover(cover: Cover, motion: Matrix, size: tuple[int, int]) -> Cover:
    """The same for a cover [h, w]; a point between covered ones and others is covered in part."""
    return _transformed(cover, motion, size, Image.Resampling.BILINEAR)


def rolled(picture: Picture, x: int, y: int) -> Picture:
    """The same for whole pixels, of which nothing is lost; zero where there is nothing."""
    height, width = picture.shape[:2]
    moved = np.zeros_like(picture)
    rows, from_rows = _overlap(height, y)
    cols, from_cols = _overlap(width, x)
    moved[rows, cols] = picture[from_rows, from_cols]
    return moved


def translation(x: float, y: float) -> Matrix:
    """The motion by (x, y) pixels."""
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def _overlap(length: int, by: int) -> tuple[slice, slice]:
    by = min(max(by, -length), length)
    return slice(max(-by, 0), length - max(by, 0)), slice(max(by, 0), length + min(by, 0))


def _transformed(
    picture: NDArray[np.uint8], motion: Matrix, size: tuple[int, int], how: Image.Resampling
) -> NDArray[np.uint8]:
    coefficients = tuple(float(value) for value in motion[:2].ravel())
    image = Image.fromarray(picture)
    return np.asarray(image.transform(size, Image.Transform.AFFINE, coefficients, how))
