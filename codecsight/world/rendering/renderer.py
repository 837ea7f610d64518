"""Scenes as pictures of any size."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from codecsight.world.rendering.sprites import sprite
from codecsight.world.scene.backdrop import paint
from codecsight.world.scene.effects import Canvas, Effect
from codecsight.world.scene.scene import Scene

# Extra rows and columns of the noise field, so that every frame can cut its own piece of it.
_SLACK = 61


class Renderer:
    """Draws one scene at one size. Keeps no memory of the frames it drew: any moment, any order."""

    def __init__(self, scene: Scene, width: int, height: int) -> None:
        self.scene = scene
        self.width, self.height = width, height
        self._size = round(width * scene.view.zoom), round(height * scene.view.zoom)
        slope = scene.light.slope * np.linspace(-0.5, 0.5, self._size[0], dtype=np.float32)
        self._light = (1 + slope)[:, None]
        self._background = _bytes(paint(scene.backdrop, *self._size) * self._light)
        rng = np.random.default_rng(scene.seed)
        size = (height + _SLACK, width + _SLACK, 1)
        field = rng.standard_normal(size, np.float32) * scene.noise
        self._noise = field.round().clip(-60, 60).astype(np.int16)

    def frame(self, t: float) -> NDArray[np.uint8]:
        """The picture at `t`, uint8 RGB [height, width, 3]."""
        return self._noisy(self._rainy(self._lit(self.clean_frame(t), t), t), t)

    def clean_frame(self, t: float) -> NDArray[np.uint8]:
        """The picture at `t` before the light's drift and the sensor's noise."""
        return self.scene.view.crop(self.scene_image(t), t)

    def scene_image(self, t: float) -> NDArray[np.uint8]:
        """The whole scene at `t` as the camera would see it from nearest, whatever part of it is
        in view: uint8 RGB, the picture's size times the view's zoom.
        """
        picture = self._place(t)
        for actor in self.scene.actors_at(t):
            box = actor.box(t, self.scene.aspect)
            drawn = sprite(actor, self.scene.style, box, t, *self._size)
            rows, cols, labels = drawn.within(*self._size)
            shown = labels >= 0
            colours = drawn.palette[labels] * self._light[cols]
            picture[rows, cols][shown] = _bytes(colours)[shown]
        return picture

    def _place(self, t: float) -> NDArray[np.uint8]:
        """The background, with its lamps, smoke and fire."""
        picture = self._background.copy()
        for effect in self.scene.effects_at(t):
            self._paint(effect, picture, t)
        return picture

    def _paint(self, effect: Effect, picture: NDArray[np.uint8], t: float) -> None:
        """Only where it reaches: most of the picture has nothing of it."""
        (high, wide), box = picture.shape[:2], effect.box(self.scene.aspect)
        rows, cols = _within(box.top, box.bottom, high), _within(box.left, box.right, wide)
        pixels = picture[rows, cols].astype(np.float32)
        x = ((np.arange(wide, dtype=np.float32) + 0.5) / wide)[cols]
        y = ((np.arange(high, dtype=np.float32) + 0.5) / high)[rows, None]
        effect.paint(Canvas(pixels, x, y, self.scene.aspect), t)
        picture[rows, cols] = _bytes(pixels)

    def _lit(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        curve = _bytes(np.arange(256, dtype=np.float32) * self.scene.light.factor(t))
        lit: NDArray[np.uint8] = curve[picture]
        return lit

    def _rainy(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """Bright streaks, elsewhere in every frame: what drops in a lamp's light look like."""
        if not self.scene.rain:
            return picture
        veil = Image.new("L", (self.width, self.height))
        pen = ImageDraw.Draw(veil)
        rng = np.random.default_rng([self.scene.seed, round(abs(t) * 1000), self.scene.rain])
        for x, y, length, glow in rng.random((self.scene.rain, 4)):
            start = x * self.width, y * self.height
            fall = (0.03 + 0.06 * length) * self.height
            pen.line((*start, start[0] - 0.15 * fall, start[1] + fall), int(40 + 60 * glow))
        return _bytes(picture + np.asarray(veil, np.float32)[..., None])

    def _noisy(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        if self.scene.noise <= 0:
            return picture
        rng = np.random.default_rng([self.scene.seed, round(abs(t) * 1000)])
        if self.scene.per_frame_noise:
            grain = rng.standard_normal((self.height, self.width, 1), np.float32)
            return _bytes(picture + grain * np.float32(self.scene.noise))
        x, y = rng.integers(0, _SLACK, 2)
        noise = self._noise[y : y + self.height, x : x + self.width]
        return (picture + noise).clip(0, 255).astype(np.uint8)


def _within(start: float, end: float, size: int) -> slice:
    """The pixels from `start` to `end`, fractions of `size`."""
    first = min(max(int(start * size), 0), size)
    return slice(first, min(max(int(end * size) + 1, first), size))


def _bytes(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return picture.clip(0, 255).round().astype(np.uint8)
