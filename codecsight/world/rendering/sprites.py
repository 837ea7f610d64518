"""Rasterized actors: which primitive each pixel shows."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.world.rendering.shapes import Primitive, primitives_of
from codecsight.world.scene.actor import Actor, Box
from codecsight.world.scene.scene import Style


@dataclass(frozen=True, slots=True)
class Sprite:
    """Pixels of one actor.

    `labels` [h, w] int8 is the index of the primitive that each pixel shows, -1 for none. (`x`,
    `y`) is its top left corner in pixels of the picture; it may lie outside. `palette` is uint8
    [primitives, 3].
    """

    x: int
    y: int
    labels: NDArray[np.int8]
    palette: NDArray[np.uint8]

    def clipped_to(self, width: int, height: int) -> tuple[slice, slice, NDArray[np.int8]]:
        """Rows and columns that it covers of a picture of that size, and its labels there."""
        rows, cols = self.labels.shape
        top, left = min(max(self.y, 0), height), min(max(self.x, 0), width)
        bottom = min(max(self.y + rows, top), height)
        right = min(max(self.x + cols, left), width)
        labels = self.labels[top - self.y : bottom - self.y, left - self.x : right - self.x]
        return slice(top, bottom), slice(left, right), labels


def rasterize(actor: Actor, style: Style, box: Box, t: float, width: int, height: int) -> Sprite:
    """Draw `actor` at `t` for a picture of `width` x `height` pixels.

    A pixel is covered when its centre lies within one of the primitives, so no pixel outside `box`
    is ever drawn.
    """
    primitives = primitives_of(actor, style, t)
    x, u = _centres(box.left * width, box.right * width)
    y, v = _centres(box.top * height, box.bottom * height)
    if actor.is_facing_left(t):
        u = 1 - u
    # Lying actors are the upright shape with rows and columns swapped.
    upright = (v, u) if actor.is_lying(t) else (u, v)
    labels = np.full((len(upright[1]), len(upright[0])), -1, np.int8)
    for index, part in enumerate(primitives):
        labels[_covered(part, *upright)] = index
    labels = labels.T if actor.is_lying(t) else labels
    return Sprite(x, y, labels, np.array([part.colour for part in primitives], np.uint8))


def _centres(start: float, end: float) -> tuple[int, NDArray[np.float64]]:
    """First pixel whose centre is in [start, end), and all such centres relative to the span."""
    first, last = math.ceil(start - 0.5), math.ceil(end - 0.5)
    pixels = np.arange(first, last, dtype=np.float64)
    return first, (pixels + (0.5 - start)) / (end - start)


def _covered(part: Primitive, u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.bool_]:
    across = (2 * u - part.left - part.right) / (part.right - part.left)
    down = (2 * v - part.top - part.bottom) / (part.bottom - part.top)
    if part.form == "rectangle":
        inside: NDArray[np.bool_] = (np.abs(down) <= 1)[:, None] & (np.abs(across) <= 1)
    else:
        inside = (down**2)[:, None] + across**2 <= 1
    return inside
