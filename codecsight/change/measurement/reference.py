"""What was shipped of every cell, kept as it is to be seen now: from where the camera looks now,
under the light there is now.

Each frame of a slot has its own reference picture, since it has its own place in what was shipped.
A reference stays in the pose in which its content was shipped: what is compared is resampled once,
what is shipped anew is resampled once into that pose, and nothing is ever resampled again and
again, which would blur it away. Only whole pixels are moved, to follow the camera. Beyond the
picture's border a margin is remembered, for a camera that sways comes back. A change of exposure
is worked in at once, or cells shipped at different times would stand in different light.

As long as neither camera nor light changes, what was shipped is kept as the bytes that it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import AffineMatrix, largest_shift
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.registration import register
from codecsight.change.measurement.warp import lay, roll, translation, warp
from codecsight.change.measurement.yuv_planes import Picture, Plane, Planes, RgbImage, planes

_SAME = 0.08  # pixels by which poses differ for no reason but noise
_STRETCH = 0.4  # pixels by which a zoom or roll may distort before the reference is redrawn


@dataclass(frozen=True, slots=True)
class WarpedReference:
    """A reference as the camera sees it now: RGB, or planes where the light changed. Where the
    camera moved: its brightness alone, how much of each pixel is known (up to 1), and the motion
    from the present picture to the reference.
    """

    picture: RgbImage | Planes
    known: Plane | None = None
    motion: AffineMatrix | None = None


class Reference:
    """One `shipped` picture in the `pose` of the camera that it stands in (see CameraTransform),
    remembered with `margin` pixels around it from the camera's first move on.
    """

    def __init__(self, shipped: RgbImage, pose: AffineMatrix, margin: int) -> None:
        self._size = shipped.shape[1], shipped.shape[0]
        self._pose = pose
        self._margin, self._widest = 0, margin
        self._exact: RgbImage | None = shipped.copy()
        self._picture: Planes  # once there is nothing exact
        self._known: Plane

    def seen(self, new: Picture, pose: AffineMatrix) -> WarpedReference:
        """The reference as a camera at `pose`, where it took `new`, would have seen it. What the
        codec says of the camera's motion is made exact by the pixels.
        """
        motion = self._motion(pose)
        if motion is None:
            return WarpedReference(self._view() if self._exact is None else self._exact)
        self._widen()
        motion = register(new.planes[0], self._picture[0], self._known, self._to_whole(motion))
        picture = np.empty((1, *new.planes.shape[1:]), np.float32)
        known = warp(self._picture, self._known, motion, picture)
        return WarpedReference(picture, known, self._from_whole(motion))

    def ship(
        self,
        new: Picture,
        kept: NDArray[np.bool_],
        pose: AffineMatrix,
        seen: WarpedReference,
        tone: Exposure,
    ) -> None:
        """Take in the `kept` cells [rows, cols] of `new`, and the `tone` by which all others
        changed; `seen` is what was given for it.
        """
        if not tone.same:
            self._split()
            self._picture = tone.of(self._picture)
        if seen.motion is None:
            self._put(new, kept)
            return
        rest = self._follow(seen.motion)
        lay(new.planes, kept, self._to_whole(rest), self._picture, self._known)
        self._pose = pose @ np.linalg.inv(rest)

    def renew(self, new: Picture, pose: AffineMatrix, seen: WarpedReference) -> None:
        """Take in the whole of `new`, and stand where it stands; what lies beyond stays."""
        if seen.motion is not None:
            self._redraw(seen.motion)
        if self._margin:
            self._view()[:] = new.planes
            self._known[self._inner()] = 1
        else:
            self._exact = new.picture.copy()
        self._pose = pose

    def _motion(self, pose: AffineMatrix) -> AffineMatrix | None:
        """From a picture taken at `pose` to the reference; None where it is none to speak of."""
        if pose is self._pose:
            return None
        motion = np.asarray(np.linalg.solve(self._pose, pose), np.float64)
        return None if largest_shift(motion, *self._size) < _SAME else motion

    def _put(self, new: Picture, kept: NDArray[np.bool_]) -> None:
        if self._exact is None:
            _copy_cells(new.planes.transpose(1, 2, 0), kept, self._view().transpose(1, 2, 0))
        else:
            _copy_cells(new.picture, kept, self._exact)

    def _view(self) -> Planes:
        return self._picture[:, *self._inner()]

    def _inner(self) -> tuple[slice, slice]:
        (width, height), margin = self._size, self._margin
        return slice(margin, margin + height), slice(margin, margin + width)

    def _split(self) -> None:
        """From here on what is shown is computed, not shipped."""
        if self._exact is not None:
            self._picture = planes(self._exact)
            self._known = np.ones(self._picture.shape[1:], np.float32)
            self._exact = None

    def _widen(self) -> None:
        self._split()
        more = self._widest - self._margin
        if more:
            around = (more, more)
            self._picture = np.pad(self._picture, ((0, 0), around, around), mode="edge")
            self._known = np.pad(self._known, more)
            self._margin = self._widest

    def _follow(self, motion: AffineMatrix) -> AffineMatrix:
        """Move the reference to where the camera looks; returns what is left of the motion."""
        width, height = self._size
        centre = np.array([width / 2, height / 2, 1])
        x, y = np.rint(motion @ centre - centre)[:2].astype(int)
        rest = translation(-x, -y) @ motion
        if largest_shift(rest, width, height) < 0.5 + _STRETCH:
            roll(self._picture, x, y)
            roll(self._known[None], x, y)
            return rest
        self._redraw(motion)
        return np.eye(3)

    def _redraw(self, motion: AffineMatrix) -> None:
        back = translation(-self._margin, -self._margin)
        redrawn = np.empty_like(self._picture)
        self._known = warp(self._picture, self._known, self._to_whole(motion) @ back, redrawn)
        self._picture = redrawn

    def _to_whole(self, motion: AffineMatrix) -> AffineMatrix:
        return translation(self._margin, self._margin) @ motion

    def _from_whole(self, motion: AffineMatrix) -> AffineMatrix:
        return translation(-self._margin, -self._margin) @ motion


def _copy_cells(new: NDArray[Any], kept: NDArray[np.bool_], picture: NDArray[Any]) -> None:
    """Copy the kept cells [rows, cols] of `new` into `picture`, both [h, w, n]."""
    rows, cols = kept.shape
    high, wide = new.shape[0] // rows, new.shape[1] // cols
    for row, col in np.argwhere(kept):
        cell = np.s_[row * high : (row + 1) * high, col * wide : (col + 1) * wide]
        picture[cell] = new[cell]
