"""Static background of a scene: layers painted one over the other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rgb = tuple[int, int, int]
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Gradient:
    """Band from `top` to `bottom` that fades vertically from one colour to another."""

    top: float
    bottom: float
    upper: Rgb
    lower: Rgb

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3] in place."""
        rows = _span(self.top, self.bottom, picture.shape[0])
        share = np.linspace(0, 1, rows.stop - rows.start, dtype=np.float32)[:, None, None]
        upper, lower = np.array(self.upper), np.array(self.lower)
        picture[rows] = upper * (1 - share) + lower * share


@dataclass(frozen=True, slots=True)
class Shape:
    """Rectangle, or the ellipse inscribed in it, in one colour. `opacity` 1 is opaque."""

    left: float
    top: float
    right: float
    bottom: float
    colour: Rgb
    ellipse: bool = False
    opacity: float = 1.0

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3] in place."""
        rows = _span(self.top, self.bottom, picture.shape[0])
        cols = _span(self.left, self.right, picture.shape[1])
        area = picture[rows, cols]
        opacity = np.full((*area.shape[:2], 1), self.opacity, np.float32)
        if self.ellipse:
            down = np.linspace(-1, 1, area.shape[0], dtype=np.float32)
            across = np.linspace(-1, 1, area.shape[1], dtype=np.float32)
            opacity[(down**2)[:, None] + across**2 > 1] = 0
        area += opacity * (np.array(self.colour, np.float32) - area)


@dataclass(frozen=True, slots=True)
class Tiles:
    """Chequered band of `rows` x `cols` tiles; every other tile is `step` grey levels lighter."""

    top: float
    bottom: float
    rows: int
    cols: int
    step: float

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3] in place."""
        rows = _span(self.top, self.bottom, picture.shape[0])
        down = np.linspace(0, self.rows, rows.stop - rows.start, endpoint=False).astype(int)
        across = np.linspace(0, self.cols, picture.shape[1], endpoint=False).astype(int)
        picture[rows] += self.step * ((down[:, None] + across) % 2)[..., None]


@dataclass(frozen=True, slots=True)
class Texture:
    """Smooth random texture over the whole picture: `cells` x `cells` noise samples, interpolated.

    `amplitude` is its standard deviation at the samples, in grey levels.
    """

    seed: int
    cells: int
    amplitude: float

    def paint(self, picture: Picture) -> None:
        """Paint over `picture` [h, w, 3] in place."""
        rng = np.random.default_rng(self.seed)
        coarse = rng.standard_normal((self.cells, self.cells)).astype(np.float32)
        height, width = picture.shape[:2]
        smooth = _weights(height, self.cells) @ coarse @ _weights(width, self.cells).T
        picture += self.amplitude * smooth[..., None]


Layer = Gradient | Shape | Tiles | Texture


def render_backdrop(layers: tuple[Layer, ...], width: int, height: int) -> Picture:
    """The layers as a picture, float32 [height, width, 3] in 0..255, before lighting."""
    picture = np.full((height, width, 3), 128, np.float32)
    for layer in layers:
        layer.paint(picture)
    return picture.clip(0, 255)


def _span(start: float, end: float, size: int) -> slice:
    first = min(max(round(start * size), 0), size)
    return slice(first, max(min(round(end * size), size), first))


def _weights(size: int, cells: int) -> NDArray[np.float32]:
    """Matrix [size, cells] that interpolates linearly from `cells` samples to `size` pixels."""
    positions = np.linspace(0, cells - 1, size)
    return (1 - np.abs(positions[:, None] - np.arange(cells))).clip(0).astype(np.float32)
