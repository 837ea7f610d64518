"""What a camera sees when nobody is there: layers painted one over the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Paint = tuple[int, int, int]
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Gradient:
    """A band of the picture from `top` to `bottom` that fades from one colour to another."""

    top: float
    bottom: float
    upper: Paint
    lower: Paint

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3]."""
        rows = _span(self.top, self.bottom, picture.shape[0])
        share = np.linspace(0, 1, rows.stop - rows.start, dtype=np.float32)[:, None, None]
        upper, lower = np.array(self.upper), np.array(self.lower)
        picture[rows] = upper * (1 - share) + lower * share


@dataclass(frozen=True, slots=True)
class Patch:
    """A rectangle, or an ellipse within it, in one colour; `cover` 1 hides what is below."""

    left: float
    top: float
    right: float
    bottom: float
    colour: Paint
    round: bool = False
    cover: float = 1.0

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3]."""
        rows = _span(self.top, self.bottom, picture.shape[0])
        cols = _span(self.left, self.right, picture.shape[1])
        area = picture[rows, cols]
        cover = np.full((*area.shape[:2], 1), self.cover, np.float32)
        if self.round:
            down = np.linspace(-1, 1, area.shape[0], dtype=np.float32)
            across = np.linspace(-1, 1, area.shape[1], dtype=np.float32)
            cover[(down**2)[:, None] + across**2 > 1] = 0
        area += cover * (np.array(self.colour, np.float32) - area)


@dataclass(frozen=True, slots=True)
class Tiles:
    """A checked band of `rows` x `cols` tiles; every other one is `step` lighter."""

    top: float
    bottom: float
    rows: int
    cols: int
    step: float

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3]."""
        rows = _span(self.top, self.bottom, picture.shape[0])
        down = np.linspace(0, self.rows, rows.stop - rows.start, endpoint=False).astype(int)
        across = np.linspace(0, self.cols, picture.shape[1], endpoint=False).astype(int)
        picture[rows] += self.step * ((down[:, None] + across) % 2)[..., None]


@dataclass(frozen=True, slots=True)
class Grain:
    """Smooth random blotches over the whole picture, `cells` across, `amount` grey levels."""

    seed: int
    cells: int
    amount: float

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3]."""
        rng = np.random.default_rng(self.seed)
        coarse = rng.standard_normal((self.cells, self.cells)).astype(np.float32)
        height, width = picture.shape[:2]
        smooth = _weights(height, self.cells) @ coarse @ _weights(width, self.cells).T
        picture += self.amount * smooth[..., None]


Layer = Gradient | Patch | Tiles | Grain


def paint(layers: tuple[Layer, ...], width: int, height: int) -> Picture:
    """The layers as a picture, float32 [height, width, 3] of 0..255, before any light."""
    picture = np.full((height, width, 3), 128, np.float32)
    for layer in layers:
        layer.paint(picture)
    return picture.clip(0, 255)


def _span(start: float, end: float, size: int) -> slice:
    first = min(max(round(start * size), 0), size)
    return slice(first, max(min(round(end * size), size), first))


def _weights(size: int, cells: int) -> NDArray[np.float32]:
    """Linear interpolation from `cells` samples to `size` pixels, as a matrix."""
    at = np.linspace(0, cells - 1, size)
    return (1 - np.abs(at[:, None] - np.arange(cells))).clip(0).astype(np.float32)
