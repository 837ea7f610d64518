"""What motion vectors say, laid on the grid of macroblocks.

A vector points from a block to where it was copied from: `src = dst + vector / scale`. So content
moved by minus the vector since a past reference, and moves by plus the vector until a future one;
divided by the reference's distance in display order that is pixels per frame.

FFmpeg says of a vector only that its reference is past or future, not which one. Both are taken
to be the nearest reference picture on that side, which is how encoders with one reference work
(cameras), and by far the most frequent choice of those with several.

Where each field is a picture, vectors count its lines, of which the frame has twice as many. FFmpeg
has doubled those of half macroblocks, and no others. Its blocks stand in the upper half of the 32
lines that they cover for one field, in the lower half for the other.

A block without any vector was coded without reference (checked against the decoder's own
macroblock types: always). So a P or B picture without vectors is one whose every block is intra,
and an I picture says nothing about motion at all.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.jit import cached_njit
from codecsight.video.codec.references import ReferenceDistances

BLOCK = 16
MOTION_CODECS = frozenset(
    {"h264", "mpeg4", "mpeg2video", "mpeg1video", "h263", "h263p", "flv1"}
    | {"msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
)
RECORD_WORDS = 10
"""The size of FFmpeg's AVMotionVector (libavutil/motion_vector.h) in words of 32 bits. Read as such
from the lowest bits up: source; w, h, src_x; src_y, dst_x; dst_y; flags (two words); motion_x;
motion_y; motion_scale; nothing."""

Raster = tuple[NDArray[np.float32], NDArray[np.float32]]


def rasterise_motion(
    vectors: NDArray[np.int32] | None, width: int, height: int, distances: ReferenceDistances
) -> Raster:
    """The motion [rows, cols, 2] in pixels per frame, and the intra share [rows, cols].

    `vectors` are FFmpeg's records, [n * RECORD_WORDS] (None: there are none); `distances` says what
    they are to be measured by. Where blocks are smaller than a macroblock, or predicted
    from both sides, motion is the mean weighted by area.
    """
    rows, cols = -(-height // BLOCK), -(-width // BLOCK)
    if vectors is None:
        return np.zeros((rows, cols, 2), np.float32), np.ones((rows, cols), np.float32)
    return _raster(
        vectors, rows, cols, -1.0 / distances.past, 1.0 / distances.future, distances.lines
    )


@cached_njit
def _raster(
    words: NDArray[np.int32], rows: int, cols: int, past: float, future: float, lines: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add all vectors up, and make means of the sums."""
    motion, intra = np.zeros((rows, cols, 2), np.float32), np.zeros((rows, cols), np.float32)
    one, whole, tall = np.float32(1), np.float32(1 / 256), np.float32(lines)
    for n in range(0, words.size - RECORD_WORDS + 1, RECORD_WORDS):
        row = min(max(int(np.int16(words[n + 3] & 0xFFFF)) >> 4, 0), rows - 1)
        col = min(max(words[n + 2] >> 20, 0), cols - 1)
        area = np.float32((words[n + 1] & 0xFF) * (words[n + 1] >> 8 & 0xFF)) * whole
        intra[row, col] += area
        across, down = words[n + 6], words[n + 7]
        if across or down:
            way = past if words[n] < 0 else future
            step = area * way / max(words[n + 8] & 0xFFFF, 1)
            motion[row, col, 0] += across * step
            halves = words[n + 1] & 0xFF != (words[n + 1] >> 8 & 0xFF)
            motion[row, col, 1] += down * step * (one if halves else tall)
    for row in range(rows):
        for col in range(cols):
            covered = intra[row, col]
            intra[row, col] = one - min(covered, one)
            if covered > 0 and covered != one:
                motion[row, col, 0] /= covered
                motion[row, col, 1] /= covered
    return motion, intra
