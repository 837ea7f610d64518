"""What motion vectors say, laid on the grid of macroblocks.

A vector points from a block to where it was copied from: `src = dst + vector / scale`. So content
moved by minus the vector since a past reference, and moves by plus the vector until a future one;
divided by the reference's distance in display order that is pixels per frame.

FFmpeg says of a vector only that its reference is past or future, not which one. Both are taken
to be the nearest reference picture on that side, which is how encoders with one reference work
(cameras), and by far the most frequent choice of those with several.

A block without any vector was coded without reference (checked against the decoder's own
macroblock types: always). So a P or B picture without vectors is one whose every block is intra,
and an I picture says nothing about motion at all.
"""

import numpy as np
from numpy.typing import NDArray

from codecsight.compiled import compiled

BLOCK = 16
MOTION_CODECS = frozenset(
    {"h264", "mpeg4", "mpeg2video", "mpeg1video", "h263", "h263p", "flv1"}
    | {"msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
)
VECTOR = np.dtype(
    [
        *(("source", "<i4"), ("w", "u1"), ("h", "u1"), ("src_x", "<i2"), ("src_y", "<i2")),
        *(("dst_x", "<i2"), ("dst_y", "<i2"), ("flags", "<u8")),
        *(("motion_x", "<i4"), ("motion_y", "<i4"), ("motion_scale", "<u2")),
    ],
    align=True,
)
"""FFmpeg's AVMotionVector (libavutil/motion_vector.h)."""

Raster = tuple[NDArray[np.float32], NDArray[np.float32]]


def rasterise(
    vectors: NDArray[np.void] | None, width: int, height: int, past: float, future: float
) -> Raster:
    """The motion [rows, cols, 2] in pixels per frame, and the intra share [rows, cols].

    `vectors` are records of VECTOR (None: there are none); `past` and `future` the distances in
    frames to the references. Where blocks are smaller than a macroblock, or predicted from both
    sides, motion is the mean weighted by area.
    """
    rows, cols = -(-height // BLOCK), -(-width // BLOCK)
    motion = np.zeros((rows, cols, 2), np.float32)
    if vectors is None:
        return motion, np.ones((rows, cols), np.float32)
    intra = np.zeros((rows, cols), np.float32)
    v = vectors
    blocks = v["dst_x"], v["dst_y"], v["w"], v["h"]
    ways = v["source"], v["motion_x"], v["motion_y"], v["motion_scale"]
    _scatter(*blocks, *ways, -1.0 / past, 1.0 / future, motion, intra)
    return motion, intra


@compiled
def _scatter(
    dst_x: NDArray[np.int16],
    dst_y: NDArray[np.int16],
    w: NDArray[np.uint8],
    h: NDArray[np.uint8],
    source: NDArray[np.int32],
    motion_x: NDArray[np.int32],
    motion_y: NDArray[np.int32],
    scale: NDArray[np.uint16],
    past: float,
    future: float,
    motion: NDArray[np.float32],
    intra: NDArray[np.float32],
) -> None:
    """Add all vectors up in `motion` and `intra`, zero before, and make means of the sums."""
    rows, cols = intra.shape
    for n in range(dst_x.size):
        row = min(max(dst_y[n] // 16, 0), rows - 1)
        col = min(max(dst_x[n] // 16, 0), cols - 1)
        area = np.float32(w[n]) * np.float32(h[n]) / np.float32(256)
        intra[row, col] += area
        if motion_x[n] or motion_y[n]:
            step = area * (past if source[n] < 0 else future) / max(scale[n], 1)
            motion[row, col, 0] += motion_x[n] * step
            motion[row, col, 1] += motion_y[n] * step
    for row in range(rows):
        for col in range(cols):
            covered = intra[row, col]
            intra[row, col] = 1 - min(covered, np.float32(1))
            if covered > 0:
                motion[row, col, 0] /= covered
                motion[row, col, 1] /= covered
