"""Reference pictures: what was last shipped for each cell, as the current camera would see it.

Each frame of a slot has its own reference, because a token is made of all frames of its cell. For
a grid of 6 x 8 cells of 16 pixels, a reference is [96, 128, 3] bytes, or, once the camera has moved
or the exposure changed, float32 planes [3, 96 + 2 * margin, 128 + 2 * margin].

A reference stays in the view in which its content was shipped. Only the comparison is resampled,
once; new cells are resampled once into the reference's view. Repeated resampling would blur it. To
follow the camera, the reference is shifted by whole pixels. A margin beyond the border keeps what
left the view, for a camera that sways back. A change of exposure is applied at once; otherwise
cells shipped at different times would have different exposures.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix, max_displacement
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.registration import register
from codecsight.change.measurement.warp import paste_cells, shift_pixels, translation, warp
from codecsight.change.measurement.yuv_planes import Picture, Plane, Planes, RgbImage, rgb_to_yuv

_SAME_VIEW = 0.08  # pixels: transforms that differ by less differ by noise
_MIN_DRIFT = 0.1  # pixels: what registration finds in a static picture is less, but for noise
_MAX_DEFORMATION = 0.4  # pixels by which zoom and roll may deform the reference before a redraw


@dataclass(frozen=True, slots=True)
class WarpedReference:
    """A reference in the current view.

    Without camera motion, `image` is RGB, or planes [3, h, w] if the exposure changed. With camera
    motion, `image` is planes, `visibility` [h, w] the share of each pixel (up to 1) that the
    reference covers, and `motion` maps the current picture to the reference.
    """

    image: RgbImage | Planes
    visibility: Plane | None = None
    motion: AffineMatrix | None = None


class Reference:
    """One shipped picture, in the view given by `transform` (see CameraTransform). After the
    camera's first move, it is stored with `margin` pixels around it.
    """

    def __init__(self, shipped: RgbImage, transform: AffineMatrix, margin: int) -> None:
        self._size = shipped.shape[1], shipped.shape[0]
        self._transform = transform
        self._margin, self._max_margin = 0, margin
        # RGB while neither camera nor exposure has changed; planes and visibility afterwards.
        self._rgb: RgbImage | None = shipped.copy()
        self._planes: Planes
        self._visibility: Plane

    def warp_to(self, new: Picture, transform: AffineMatrix) -> WarpedReference:
        """The reference in the view of a camera at `transform`, which took `new`. The motion
        estimated from the codec is refined by registration against `new`.
        """
        motion = self._motion_to_reference(transform)
        if motion is None:
            return WarpedReference(self._inner_planes() if self._rgb is None else self._rgb)
        self._add_margin()
        return self._registered(new, self._planes, self._visibility, motion)

    def realign(self, new: Picture) -> WarpedReference | None:
        """The reference in the view of `new`, if registration finds that the camera has drifted
        without any motion vector; None if it has not.
        """
        planes, visibility = self._planes_and_visibility()
        warped = self._registered(new, planes, visibility, np.eye(3))
        assert warped.motion is not None  # noqa: S101
        return None if max_displacement(warped.motion, *self._size) < _MIN_DRIFT else warped

    def _registered(
        self, new: Picture, planes: Planes, visibility: Plane, motion: AffineMatrix
    ) -> WarpedReference:
        """The reference in the view of `new`, from where `motion` leads to it, about."""
        motion = register(new.yuv[0], planes[0], visibility, self._with_margin(motion))
        image = np.empty(new.yuv.shape, np.float32)
        visible = warp(planes, visibility, motion, image)
        return WarpedReference(image, visible, self._without_margin(motion))

    def update(
        self,
        new: Picture,
        kept: NDArray[np.bool_],
        transform: AffineMatrix,
        warped: WarpedReference,
        exposure: Exposure,
    ) -> None:
        """Take over the `kept` cells [rows, cols] of `new`, and apply `exposure` to all others.
        `warped` is what `warp_to` returned for `new`.
        """
        if not exposure.negligible:
            self._convert_to_planes()
            self._planes = exposure.apply(self._planes)
        if warped.motion is None:
            self._copy_cells(new, kept)
            return
        self._add_margin()
        motion = self._follow(warped.motion)
        paste_cells(new.yuv, kept, self._with_margin(motion), self._planes, self._visibility)
        self._transform = transform @ np.linalg.inv(motion)

    def replace(self, new: Picture, transform: AffineMatrix, warped: WarpedReference) -> None:
        """Take over the whole of `new` and its view. The margin keeps its content."""
        if warped.motion is not None:
            self._add_margin()
            self._redraw(warped.motion)
        if self._margin:
            self._inner_planes()[:] = new.yuv
            self._visibility[self._inner()] = 1
        else:
            self._rgb = new.rgb.copy()
        self._transform = transform

    def _motion_to_reference(self, transform: AffineMatrix) -> AffineMatrix | None:
        """Motion from a picture taken at `transform` to the reference; None if negligible."""
        if transform is self._transform:
            return None
        motion = np.asarray(np.linalg.solve(self._transform, transform), np.float64)
        return None if max_displacement(motion, *self._size) < _SAME_VIEW else motion

    def _copy_cells(self, new: Picture, kept: NDArray[np.bool_]) -> None:
        if self._rgb is None:
            _copy_cells(new.yuv.transpose(1, 2, 0), kept, self._inner_planes().transpose(1, 2, 0))
        else:
            _copy_cells(new.rgb, kept, self._rgb)

    def _inner_planes(self) -> Planes:
        return self._planes[:, *self._inner()]

    def _inner(self) -> tuple[slice, slice]:
        (width, height), margin = self._size, self._margin
        return slice(margin, margin + height), slice(margin, margin + width)

    def _planes_and_visibility(self) -> tuple[Planes, Plane]:
        if self._rgb is None:
            return self._planes, self._visibility
        return rgb_to_yuv(self._rgb), np.ones(self._rgb.shape[:2], np.float32)

    def _convert_to_planes(self) -> None:
        if self._rgb is not None:
            self._planes, self._visibility = self._planes_and_visibility()
            self._rgb = None

    def _add_margin(self) -> None:
        self._convert_to_planes()
        missing = self._max_margin - self._margin
        if missing:
            padding = (missing, missing)
            self._planes = np.pad(self._planes, ((0, 0), padding, padding), mode="edge")
            self._visibility = np.pad(self._visibility, missing)
            self._margin = self._max_margin

    def _follow(self, motion: AffineMatrix) -> AffineMatrix:
        """Shift the reference by whole pixels towards the current view, or redraw it if zoom and
        roll deform it too much. Returns the remaining motion.
        """
        width, height = self._size
        centre = np.array([width / 2, height / 2, 1])
        x, y = np.rint(motion @ centre - centre)[:2].astype(int)
        remaining = translation(-x, -y) @ motion
        # Rounding leaves up to half a pixel of translation.
        if max_displacement(remaining, width, height) < 0.5 + _MAX_DEFORMATION:
            shift_pixels(self._planes, x, y)
            shift_pixels(self._visibility[None], x, y)
            return remaining
        self._redraw(motion)
        return np.eye(3)

    def _redraw(self, motion: AffineMatrix) -> None:
        """Resample the reference, with its margin, into the current view."""
        from_margin = translation(-self._margin, -self._margin)
        redrawn = np.empty_like(self._planes)
        self._visibility = warp(
            self._planes, self._visibility, self._with_margin(motion) @ from_margin, redrawn
        )
        self._planes = redrawn

    def _with_margin(self, motion: AffineMatrix) -> AffineMatrix:
        """The motion to pixels of the reference counted from the corner of its margin."""
        return translation(self._margin, self._margin) @ motion

    def _without_margin(self, motion: AffineMatrix) -> AffineMatrix:
        return translation(-self._margin, -self._margin) @ motion


def _copy_cells(new: NDArray[Any], kept: NDArray[np.bool_], image: NDArray[Any]) -> None:
    """Copy the kept cells [rows, cols] of `new` into `image`, both [h, w, n]."""
    rows, cols = kept.shape
    high, wide = new.shape[0] // rows, new.shape[1] // cols
    for row, col in np.argwhere(kept):
        cell = np.s_[row * high : (row + 1) * high, col * wide : (col + 1) * wide]
        image[cell] = new[cell]
