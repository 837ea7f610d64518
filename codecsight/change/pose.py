"""Where the camera looks now, compared with where it looked when a picture was shipped."""

from collections import deque

from codecsight.change.camera_motion import STILL, Matrix, camera_motion, scaled
from codecsight.video.frame import FrameSignals


class Pose:
    """Composes the camera's motion over frames, in pixels of the model's input.

    `now` maps a point of the present picture to where it was when following began. A frame of
    which the codec says nothing (an I frame) is taken to have moved on like the one before. The
    camera is `still` when it did not move since the last sample.
    """

    def __init__(self, width: int, height: int, samples: int) -> None:
        self._size = width, height
        self._last: Matrix = STILL
        self.still = self._was_still = True
        self.now: Matrix = STILL
        self._samples: deque[Matrix] = deque(maxlen=samples)

    def observe(self, signals: FrameSignals, width: int, height: int) -> Matrix:
        """Follow one frame of `width` x `height` pixels; returns its motion in those pixels."""
        found = camera_motion(signals)
        step = self._last if found is None else found
        self._last = step
        if step is not STILL:
            self.still = False
            across, down = self._size[0] / width, self._size[1] / height
            self.now = self.now @ scaled(step, across, down)
        return step

    @property
    def steady(self) -> bool:
        """Whether the camera stands, and did so between the last two samples, too."""
        return self.still and self._was_still

    def sampled(self) -> None:
        """The frame last observed is one of the slot's."""
        self._samples.append(self.now)
        self._was_still, self.still = self.still, True

    def poses(self) -> list[Matrix]:
        """The poses of the slot's frames."""
        known = list(self._samples)
        return known or [STILL] * (self._samples.maxlen or 0)
