"""Rasterises motion vectors onto the grid of macroblocks: motion and intra share per block.

A vector points from a block to the block it was predicted from: `src = dst + vector / scale`.
Content therefore moved by minus the vector since a past reference, and moves by plus the vector
until a future one. Divided by the reference's distance in display order this is pixels per frame.

FFmpeg exports whether a vector's reference is past or future, but not which picture it is. The
nearest reference on that side is assumed: encoders with one reference (cameras) use no other, and
those with several choose it by far most often.

Where each field is a picture, vectors count lines of the field, and the frame has twice as many.
FFmpeg doubles the vectors of half macroblocks, and no others. A block covers 32 lines of the frame;
FFmpeg reports it in their upper half for one field and in their lower half for the other.

A block without a vector was coded without a reference (checked against the decoder's macroblock
types: always). A P or B picture without vectors is therefore entirely intra. An I picture has no
information about motion.
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
"""Size of FFmpeg's AVMotionVector (libavutil/motion_vector.h) in 32-bit words.

The words, fields from the lowest bits up: source; w, h, src_x; src_y, dst_x; dst_y; flags (two
words); motion_x; motion_y; motion_scale; padding."""

Raster = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Motion [rows, cols, 2] and intra share [rows, cols]."""


def rasterise_motion(
    vectors: NDArray[np.int32] | None, width: int, height: int, distances: ReferenceDistances
) -> Raster:
    """The motion [rows, cols, 2] in pixels per frame, and the intra share [rows, cols].

    `vectors` are FFmpeg's records, [n * RECORD_WORDS], or None if there are none. `distances` are
    the picture's distances to its references. Where a macroblock has several vectors (smaller
    blocks, or prediction from both sides), its motion is their mean weighted by area.
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
    """Sum the vectors of each macroblock weighted by area, then divide by the covered area.

    `past` and `future` are the signed factors from a vector to pixels per frame, `lines` the frame
    lines per line of a block. `intra` accumulates the covered area until the last loop.
    """
    motion, intra = np.zeros((rows, cols, 2), np.float32), np.zeros((rows, cols), np.float32)
    one, per_pixel, field_scale = np.float32(1), np.float32(1 / 256), np.float32(lines)
    for n in range(0, words.size - RECORD_WORDS + 1, RECORD_WORDS):
        # dst_x and dst_y are the block's centre; shifting by 4 divides by the block size of 16.
        row = min(max(int(np.int16(words[n + 3] & 0xFFFF)) >> 4, 0), rows - 1)
        col = min(max(words[n + 2] >> 20, 0), cols - 1)
        area = np.float32((words[n + 1] & 0xFF) * (words[n + 1] >> 8 & 0xFF)) * per_pixel
        intra[row, col] += area
        x, y = words[n + 6], words[n + 7]
        if x or y:
            # A negative `source` is a past reference, a positive one a future reference.
            per_frame = past if words[n] < 0 else future
            weight = area * per_frame / max(words[n + 8] & 0xFFFF, 1)
            motion[row, col, 0] += x * weight
            half_block = words[n + 1] & 0xFF != (words[n + 1] >> 8 & 0xFF)
            motion[row, col, 1] += y * weight * (one if half_block else field_scale)
    for row in range(rows):
        for col in range(cols):
            covered = intra[row, col]
            intra[row, col] = one - min(covered, one)
            # Prediction from both sides covers a block twice, so the area can exceed 1.
            if covered > 0 and covered != one:
                motion[row, col, 0] /= covered
                motion[row, col, 1] /= covered
    return motion, intra
