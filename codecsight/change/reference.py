"""What was shipped of every cell, kept as it is to be seen now: from where the camera looks now,
under the light there is now.

Each frame of a slot has its own reference picture, since it has its own place in what was shipped.
A reference stays in the pose in which its content was shipped: what is compared is resampled once,
what is shipped anew is resampled once into that pose, and nothing is ever resampled again and
again, which would blur it away. Only whole pixels are moved, to follow the camera. Beyond the
picture's border a margin is remembered, for a camera that sways comes back. A change of exposure
is worked in at once, or cells shipped at different times would stand in different light.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codecsight.change.camera_motion import Matrix, largest_shift
from codecsight.change.registration import register
from codecsight.change.tone import Tone
from codecsight.change.warp import Cover, Picture, rolled, translation, warp, warp_cover

_SAME = 0.08  # pixels by which poses differ for no reason but noise
_STRETCH = 0.4  # pixels by which a zoom or roll may distort before the reference is redrawn
_EDGE = 2  # pixels around a point that resampling looks at


@dataclass(frozen=True, slots=True)
class Seen:
    """A reference as the camera sees it now. Where the camera moved: how much of each pixel (of
    255) is known, and the motion from the present picture to the reference.
    """

    picture: Picture
    known: Cover | None = None
    motion: Matrix | None = None


class Reference:
    """One shipped picture [h, w, 3], remembered with `margin` pixels around it, in the `pose` of
    the camera that it stands in (see Pose).
    """

    def __init__(self, shipped: Picture, pose: Matrix, margin: int) -> None:
        height, width = shipped.shape[:2]
        self._size, self._margin = (width, height), margin
        self._whole = width + 2 * margin, height + 2 * margin
        self._pose = pose
        self._picture = np.pad(shipped, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        self._known = np.pad(np.full((height, width), 255, np.uint8), margin)

    def seen(self, new: Picture, pose: Matrix) -> Seen:
        """The reference as a camera at `pose`, where it took `new`, would have seen it. What the
        codec says of the camera's motion is made exact by the pixels.
        """
        if pose is self._pose:
            return Seen(self._view())
        motion = np.asarray(np.linalg.solve(self._pose, pose), np.float64)
        if largest_shift(motion, *self._size) < _SAME:
            return Seen(self._view())
        motion = register(new, self._picture, self._known, self._to_whole(motion))
        picture = warp(self._picture, motion, self._size)
        known = warp_cover(self._known, motion, self._size)
        return Seen(picture, known, self._from_whole(motion))

    def ship(
        self, new: Picture, kept: NDArray[np.bool_], pose: Matrix, seen: Seen, tone: Tone
    ) -> None:
        """Take in the `kept` pixels [h, w] of `new`, and the `tone` by which all others changed;
        `seen` is what was given for it.
        """
        if not tone.same:
            self._picture = tone.of(self._picture)
        if seen.motion is None:
            self._view()[kept] = new[kept]
            return
        rest = self._follow(seen.motion)
        back = np.linalg.inv(self._to_whole(rest))
        # Resampling looks beyond the border, where the border's own pixels must stand in.
        padded = np.pad(new, ((_EDGE, _EDGE), (_EDGE, _EDGE), (0, 0)), mode="edge")
        into = translation(_EDGE, _EDGE) @ back
        fresh = warp(padded, into, self._whole)
        cover = kept * np.uint8(255)
        known = warp_cover(np.pad(cover, _EDGE), into, self._whole)
        replaced = warp_cover(np.pad(cover, _EDGE, mode="edge"), into, self._whole) >= 128
        replaced &= (known >= 128) | (known > self._known)
        self._picture[replaced] = fresh[replaced]
        np.maximum(self._known, known, out=self._known)
        self._pose = pose @ np.linalg.inv(rest)

    def _view(self) -> Picture:
        inner = slice(self._margin, -self._margin)
        return self._picture[inner, inner]

    def _follow(self, motion: Matrix) -> Matrix:
        """Move the reference to where the camera looks; returns what is left of the motion."""
        width, height = self._size
        centre = np.array([width / 2, height / 2, 1])
        x, y = np.rint(motion @ centre - centre)[:2].astype(int)
        rest = translation(-x, -y) @ motion
        if largest_shift(rest, width, height) < 0.5 + _STRETCH:
            self._picture = rolled(self._picture, x, y)
            self._known = rolled(self._known, x, y)
            return rest
        back = translation(-self._margin, -self._margin)
        redraw = self._to_whole(motion) @ back
        self._picture = warp(self._picture, redraw, self._whole).copy()
        self._known = warp_cover(self._known, redraw, self._whole).copy()
        return np.eye(3)

    def _to_whole(self, motion: Matrix) -> Matrix:
        return translation(self._margin, self._margin) @ motion

    def _from_whole(self, motion: Matrix) -> Matrix:
        return translation(-self._margin, -self._margin) @ motion
