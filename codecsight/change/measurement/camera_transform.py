"""Composition of camera motion over frames: the transform from the current to an earlier view."""

from collections import deque

import numpy as np

from codecsight.change.measurement.camera_motion import (
    IDENTITY,
    AffineMatrix,
    change_coordinates,
    estimate_camera_motion,
    max_displacement,
)
from codecsight.core.frame import FrameSignals
from codecsight.core.orientation import Orientation

_SIMILAR = 0.5  # share of a frame's motion by which the next one's may differ in a smooth turn
_MAX_EXTRAPOLATED = 12  # frames without an estimate for which the last motion is assumed to go on
_SMOOTH_AFTER = 8  # similar frames that make a turn smooth: a shaking pole turns back before that


class CameraTransform:
    """Composes per-frame camera motion into affine transforms, in pixels of the model's input.

    `current` maps a point of the current picture to its position where composition began. A frame
    without an estimate (no vectors, or not extracted) is assumed to move like the frame before it,
    but only for _MAX_EXTRAPOLATED frames: in the dark there may be no estimate for hours.
    `is_static` is true while the camera has not moved since the last sample.
    """

    def __init__(self, width: int, height: int, samples: int) -> None:
        self._size = width, height
        self._motion = self._step = IDENTITY  # last motion in source pixels, and in model pixels
        self.is_static = self._was_static = True
        self.current: AffineMatrix = IDENTITY
        self._similar_frames = self._missing_frames = 0
        self._samples: deque[AffineMatrix] = deque(maxlen=samples)

    def observe(self, signals: FrameSignals, width: int, height: int) -> AffineMatrix:
        """Add one frame of `width` x `height` coded pixels. Returns its motion in those pixels."""
        motion = estimate_camera_motion(signals)
        self._missing_frames = self._missing_frames + 1 if motion is None else 0
        if self._missing_frames > _MAX_EXTRAPOLATED:
            motion = IDENTITY
        if motion is not None and motion is not self._motion:
            self._set_motion(motion, width, height, signals.orientation)
        if self._motion is not IDENTITY:
            self.is_static = False
            self.current = self.current @ self._step
        return self._motion

    def _set_motion(
        self, motion: AffineMatrix, width: int, height: int, orientation: Orientation
    ) -> None:
        change = max_displacement(motion - self._motion + IDENTITY, width, height)
        similar = change < _SIMILAR * max_displacement(motion, width, height)
        self._similar_frames = self._similar_frames + 1 if similar else 0
        to_shown = orientation.affine((width, height), self._size)
        self._motion, self._step = motion, change_coordinates(motion, to_shown)

    @property
    def is_smooth(self) -> bool:
        """Whether the camera was static over the last two sampling intervals, or turns so smoothly
        that its motion need not be read from every frame.
        """
        return (self.is_static and self._was_static) or self._similar_frames >= _SMOOTH_AFTER

    def on_sample(self) -> None:
        """Record that the frame observed last is sampled for the slot."""
        self._samples.append(self.current)
        self._was_static, self.is_static = self.is_static, True

    def rebase(self) -> None:
        """Make the current view the new origin. An endless product of matrices would lose precision
        and finally overflow.
        """
        if self.current is IDENTITY:
            return
        inverse = np.asarray(np.linalg.inv(self.current), np.float64)
        rebased = [
            IDENTITY if sample is self.current else inverse @ sample for sample in self._samples
        ]
        self._samples = deque(rebased, maxlen=self._samples.maxlen)
        self.current = IDENTITY

    def sample_transforms(self) -> list[AffineMatrix]:
        """The transforms of the slot's sampled frames; all IDENTITY before the first sample."""
        transforms = list(self._samples)
        return transforms or [IDENTITY] * (self._samples.maxlen or 0)
