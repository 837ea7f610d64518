"""A decoded frame and the signals its codec provides."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from codecsight.core.orientation import UPRIGHT, Orientation, shown_size

FrameType = Literal["I", "P", "B", "?"]


# Not frozen: creating a frozen instance takes three times as long, and every frame creates one.
@dataclass(slots=True, eq=False)
class FrameSignals:
    """Signals of one frame from its bitstream, on the codec's block grid, at native frame rate.

    Arrays are [rows, cols] over blocks of `block` pixels of the coded picture, origin top left; the
    picture is shown turned by `orientation`, the arrays are not. `motion` is
    [rows, cols, 2] float32: displacement (x, y) of the content in pixels per frame, with the
    display distance to the reference taken into account. `intra` is float32, the share of each
    block that was coded without a reference. A signal that the codec does not provide is None
    (HEVC, AV1, VP9 and MJPEG provide neither): None means unknown, never "no motion". `skip`, `qp`
    and `residual` are not exported by FFmpeg; another extractor (a patched decoder, NVDEC) may
    provide them.

    `valid` is False from a decode error or a lost packet until the next key frame. `extracted` is
    False where the decoder did not extract motion for this frame (Decoder's
    `motion_interval_s`): the next frame with extracted signals covers this one too.
    """

    frame_type: FrameType
    size: int
    block: int = 16
    motion: NDArray[np.float32] | None = None
    intra: NDArray[np.float32] | None = None
    skip: NDArray[np.float32] | None = None
    qp: NDArray[np.float32] | None = None
    residual: NDArray[np.float32] | None = None
    valid: bool = True
    extracted: bool = True
    orientation: Orientation = UPRIGHT


@dataclass(slots=True, eq=False)
class Frame:
    """A decoded picture with its times and signals.

    `picture` is as it was coded; a player turns it by `orientation` and makes its pixels square.
    `sample_aspect` is the width of a pixel divided by its height, 0 if unknown. `time` is in
    seconds of the stream, `capture_time` is the edge's wall clock in seconds since the epoch.
    """

    picture: av.VideoFrame
    time: float
    capture_time: float
    signals: FrameSignals
    sample_aspect: Fraction = Fraction(0)

    @property
    def orientation(self) -> Orientation:
        """How the picture is turned and mirrored when it is shown."""
        return self.signals.orientation

    @property
    def shown_size(self) -> tuple[int, int]:
        """(width, height) of the picture as it is shown: turned, with square pixels."""
        picture = self.picture
        return shown_size(picture.width, picture.height, self.orientation, self.sample_aspect)

    @property
    def width(self) -> int:
        """Width of the shown picture in pixels."""
        return self.shown_size[0]

    @property
    def height(self) -> int:
        """Height of the shown picture in pixels."""
        return self.shown_size[1]
