"""Where the camera looks now, compared with where it looked when a picture was shipped."""

from collections import deque

import numpy as np

from codecsight.change.measurement.camera_motion import (
    IDENTITY,
    AffineMatrix,
    estimate_camera_motion,
    largest_shift,
    scaled,
)
from codecsight.core.frame import FrameSignals

_ALIKE = 0.5  # share of a frame's motion by which the next one's may differ, in a smooth turn
_BELIEVED = 12  # frames for which a motion is taken to go on unseen
_SMOOTH = 8  # frames that must be alike: a pole that shakes turns back before that


class CameraTransform:
    """Composes the camera's motion over frames, in pixels of the model's input.

    `now` maps a point of the present picture to where it was when following began. A frame of
    which the codec says nothing, or was not asked, is taken to have moved on like the one before,
    but not for long: in the dark it may say nothing for hours. The camera is `still` when it did
    not move since the last sample.
    """

    def __init__(self, width: int, height: int, samples: int) -> None:
        self._size = width, height
        self._last = self._step = IDENTITY
        self.still = self._was_still = True
        self.now: AffineMatrix = IDENTITY
        self._alike = self._untold = 0
        self._samples: deque[AffineMatrix] = deque(maxlen=samples)

    def observe(self, signals: FrameSignals, width: int, height: int) -> AffineMatrix:
        """Follow one frame of `width` x `height` pixels; returns its motion in those pixels."""
        found = estimate_camera_motion(signals)
        self._untold = self._untold + 1 if found is None else 0
        if self._untold > _BELIEVED:
            found = IDENTITY
        if found is not None and found is not self._last:
            self._turn(found, width, height)
        if self._last is not IDENTITY:
            self.still = False
            self.now = self.now @ self._step
        return self._last

    def _turn(self, found: AffineMatrix, width: int, height: int) -> None:
        """The camera moves otherwise than before."""
        differ = largest_shift(found - self._last + IDENTITY, width, height)
        alike = differ < _ALIKE * largest_shift(found, width, height)
        self._alike = self._alike + 1 if alike else 0
        across, down = self._size[0] / width, self._size[1] / height
        self._last, self._step = found, scaled(found, across, down)

    @property
    def steady(self) -> bool:
        """Whether the camera stands, and did so between the last two samples, too; or turns so
        smoothly that not every frame need be asked.
        """
        return (self.still and self._was_still) or self._alike >= _SMOOTH

    def on_sample(self) -> None:
        """The frame last observed is one of the slot's."""
        self._samples.append(self.now)
        self._was_still, self.still = self.still, True

    def rebase(self) -> None:
        """Following begins here: of products without end, none would stay exact, or even finite."""
        if self.now is IDENTITY:
            return
        back = np.asarray(np.linalg.inv(self.now), np.float64)
        rebased = [IDENTITY if pose is self.now else back @ pose for pose in self._samples]
        self._samples = deque(rebased, maxlen=self._samples.maxlen)
        self.now = IDENTITY

    def poses(self) -> list[AffineMatrix]:
        """The poses of the slot's frames."""
        known = list(self._samples)
        return known or [IDENTITY] * (self._samples.maxlen or 0)
