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

BLOCK = 16
MOTION_CODECS = frozenset(
    {"h264", "mpeg4", "mpeg2video", "mpeg1video", "h263", "h263p", "flv1"}
    | {"msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
)

Raster = tuple[NDArray[np.float32], NDArray[np.float32]]


def rasterise(
    vectors: NDArray[np.void] | None, width: int, height: int, past: float, future: float
) -> Raster:
    """The motion [rows, cols, 2] in pixels per frame, and the intra share [rows, cols].

    `vectors` are FFmpeg's records (None: there are none); `past` and `future` the distances in
    frames to the references. Where blocks are smaller than a macroblock, or predicted from both
    sides, motion is the mean weighted by area.
    """
    rows, cols = -(-height // BLOCK), -(-width // BLOCK)
    if vectors is None:
        return np.zeros((rows, cols, 2), np.float32), np.ones((rows, cols), np.float32)
    x = np.clip(vectors["dst_x"].astype(np.int32) // BLOCK, 0, cols - 1)
    y = np.clip(vectors["dst_y"].astype(np.int32) // BLOCK, 0, rows - 1)
    block, count = y * cols + x, rows * cols
    area = vectors["w"].astype(np.float32) * vectors["h"] / BLOCK**2
    step = np.where(vectors["source"] < 0, -1.0 / past, 1.0 / future)
    step = area * step / np.maximum(vectors["motion_scale"], 1)
    covered = np.bincount(block, area, count)
    share = 1 / np.maximum(covered, 1e-6)
    motion = np.stack(
        [
            np.bincount(block, vectors[axis] * step, count) * share
            for axis in ("motion_x", "motion_y")
        ],
        axis=-1,
    )
    intra = 1 - np.minimum(covered, 1)
    return (
        motion.reshape(rows, cols, 2).astype(np.float32),
        intra.reshape(rows, cols).astype(np.float32),
    )
