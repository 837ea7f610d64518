"""Renders scenes as pictures of any size."""

import numpy as np
from numpy.typing import NDArray

from codecsight.world.rendering.overlays import add_clock, add_insects, add_rain, to_uint8
from codecsight.world.rendering.sprites import rasterize
from codecsight.world.scene.backdrop import render_backdrop
from codecsight.world.scene.effects import Canvas, Effect
from codecsight.world.scene.scene import Scene

# Extra rows and columns of the noise field: every frame takes a crop at a random offset.
_NOISE_MARGIN = 61


class Renderer:
    """Renders one scene at one size. Frames are independent: any time, in any order."""

    def __init__(self, scene: Scene, width: int, height: int) -> None:
        self.scene = scene
        self.width, self.height = width, height
        self._size = round(width * scene.view.zoom), round(height * scene.view.zoom)
        slope = scene.light.slope * np.linspace(-0.5, 0.5, self._size[0], dtype=np.float32)
        self._light = (1 + slope)[:, None]
        self._background = to_uint8(render_backdrop(scene.backdrop, *self._size) * self._light)
        rng = np.random.default_rng(scene.seed)
        size = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 1)
        field = rng.standard_normal(size, np.float32) * scene.noise
        self._noise = field.round().clip(-60, 60).astype(np.int16)

    def frame(self, t: float) -> NDArray[np.uint8]:
        """The picture at `t`, uint8 RGB [height, width, 3]."""
        lit = self._add_overlays(self._apply_light(self.clean_frame(t), t), t)
        picture = self._add_noise(lit, t)
        return add_clock(picture, t) if self.scene.clock else picture

    def clean_frame(self, t: float) -> NDArray[np.uint8]:
        """The picture at `t` without light drift, sensor noise, and what is drawn over it."""
        return self.scene.view.crop(self.scene_image(t), t)

    def scene_image(self, t: float) -> NDArray[np.uint8]:
        """The whole scene at `t`, whatever part of it is in view.

        Gives uint8 RGB at the resolution of the view's maximum zoom: [height * zoom, width * zoom,
        3].
        """
        picture = self._background_at(t)
        for actor in self.scene.actors_at(t):
            box = actor.box(t, self.scene.aspect)
            sprite = rasterize(actor, self.scene.style, box, t, *self._size)
            rows, cols, labels = sprite.clipped_to(*self._size)
            covered = labels >= 0
            colours = sprite.palette[labels] * self._light[cols]
            picture[rows, cols][covered] = to_uint8(colours)[covered]
        return picture

    def _background_at(self, t: float) -> NDArray[np.uint8]:
        """The background with the effects at `t`."""
        picture = self._background.copy()
        for effect in self.scene.effects_at(t):
            self._paint(effect, picture, t)
        return picture

    def _paint(self, effect: Effect, picture: NDArray[np.uint8], t: float) -> None:
        """Paint an effect within its bounding box only, which is small."""
        (height, width), box = picture.shape[:2], effect.box(self.scene.aspect)
        rows, cols = _span(box.top, box.bottom, height), _span(box.left, box.right, width)
        pixels = picture[rows, cols].astype(np.float32)
        x = ((np.arange(width, dtype=np.float32) + 0.5) / width)[cols]
        y = ((np.arange(height, dtype=np.float32) + 0.5) / height)[rows, None]
        effect.paint(Canvas(pixels, x, y, self.scene.aspect), t)
        picture[rows, cols] = to_uint8(pixels)

    def _apply_light(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        curve = to_uint8(np.arange(256, dtype=np.float32) * self.scene.light.factor(t))
        lit: NDArray[np.uint8] = curve[picture]
        return lit

    def _add_overlays(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        """Add what is between the scene and the sensor."""
        scene = self.scene
        if scene.rain:
            picture = add_rain(picture, scene.seed, scene.rain, t)
        if scene.insects:
            picture = add_insects(picture, scene.seed, scene.insects, t)
        return picture

    def _add_noise(self, picture: NDArray[np.uint8], t: float) -> NDArray[np.uint8]:
        if self.scene.noise <= 0:
            return picture
        rng = np.random.default_rng([self.scene.seed, round(abs(t) * 1000)])
        if self.scene.per_frame_noise:
            grain = rng.standard_normal((self.height, self.width, 1), np.float32)
            return to_uint8(picture + grain * np.float32(self.scene.noise))
        x, y = rng.integers(0, _NOISE_MARGIN, 2)
        noise = self._noise[y : y + self.height, x : x + self.width]
        return (picture + noise).clip(0, 255).astype(np.uint8)


def _span(start: float, end: float, size: int) -> slice:
    """The pixels from `start` to `end`, which are fractions of `size`."""
    first = min(max(int(start * size), 0), size)
    return slice(first, min(max(int(end * size) + 1, first), size))
