"""Share of time in which a camera moves, judged over seconds: noise is not taken for motion."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import IDENTITY, estimate_camera_motion
from codecsight.core.frame import Frame

WINDOW_S = 1.0
MIN_NET, MIN_STEP = 3.0, 0.5
"""Pixels of the picture's corners: together in a window, and on average from frame to frame."""


class CameraMoves:
    """Counts the frames in which the camera moves.

    The motion vectors of a noisy picture agree on small camera motions at random. They are told
    from real motion in windows of WINDOW_S: there a pan or zoom adds up to MIN_NET pixels, and a
    camera that shakes moves by MIN_STEP from frame to frame; noise does neither.
    """

    def __init__(self) -> None:
        self._known = self._moving = 0
        self._since: float | None = None
        self._steps: list[NDArray[np.float64]] = []  # of this window: [4, 2] pixels per frame
        self._still = 0  # frames of this window without motion

    @property
    def share(self) -> float | None:
        """Share of the frames with motion, of those that tell; None if none does."""
        self._end_window()
        return self._moving / self._known if self._known else None

    def update(self, frame: Frame) -> None:
        """Add a decoded frame, in display order."""
        motion = estimate_camera_motion(frame.signals)
        if motion is None:
            return
        if self._since is None or not 0 <= frame.time - self._since < WINDOW_S:
            self._end_window()
            self._since = frame.time
        if motion is IDENTITY:
            self._still += 1
        else:
            width, height = frame.picture.width, frame.picture.height
            corners = np.array([(x, y, 1.0) for x in (0, width) for y in (0, height)])
            self._steps.append((corners - corners @ motion.T)[:, :2])

    def _end_window(self) -> None:
        if self._steps:
            steps = np.stack(self._steps)
            net = np.linalg.norm(steps.sum(axis=0), axis=-1).mean()
            step = np.linalg.norm(steps, axis=-1).mean()
            self._moving += len(steps) if net >= MIN_NET or step >= MIN_STEP else 0
        self._known += len(self._steps) + self._still
        self._steps, self._still = [], 0
