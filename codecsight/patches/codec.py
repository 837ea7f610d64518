"""Coding of a slot's kept cells as one still picture, the mosaic."""

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from codecsight.core.errors import CodecSightError
from codecsight.patches.structure import jpeg_problem, png_problem

CodecKind = Literal["jpeg", "lossless"]

MAX_MOSAIC_BYTES = 960 * 1024
"""Largest mosaic in bytes. The whole chunk then stays under the message limit of 1 MiB."""

_FORMATS = {"jpeg": "JPEG", "lossless": "PNG"}
_STRUCTURE = {"jpeg": jpeg_problem, "lossless": png_problem}
_MIN_QUALITY = 30
# Exceptions of Pillow for broken pictures. It documents only OSError.
_DECODE_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, struct.error,
    TypeError, IndexError, KeyError, OverflowError,
    Image.DecompressionBombError,
)  # fmt: skip


class PatchError(CodecSightError):
    """Cells that can't be coded, or a chunk whose fields contradict each other."""


def mosaic_shape(tiles: int) -> tuple[int, int]:
    """Rows and columns of the nearly square mosaic for a number of tiles (5 tiles: 2 x 3)."""
    cols = math.isqrt(max(tiles - 1, 0)) + 1
    return -(-tiles // cols), cols


class PatchCodec:
    """Codes patches [kept, frames, 3, cell, cell] as one RGB mosaic, one tile per cell and frame.

    The frames of a cell are side by side. `lossless` is PNG. `jpeg` is 4:4:4: neighbouring tiles
    are unrelated, and subsampled chroma would bleed from one into the next. Cells of 32 px also
    align with JPEG's 8 px blocks. The quality of a JPEG that exceeds MAX_MOSAIC_BYTES is lowered
    until it fits.
    """

    def __init__(self, kind: str = "jpeg", quality: int = 90) -> None:
        if kind not in get_args(CodecKind):
            raise PatchError(f"unknown patch codec {kind!r}; known: jpeg, lossless")
        self.kind = kind
        self._quality = quality

    def encode(self, patches: NDArray[np.uint8]) -> bytes:
        """Code a mosaic; empty bytes for no patches. Raises PatchError if it can't fit."""
        if not len(patches):
            return b""
        mosaic = Image.fromarray(_assemble(patches))
        if self.kind == "lossless":
            return _check_bytes(_save(mosaic, format="PNG", compress_level=3))
        quality = self._quality
        data = _jpeg(mosaic, quality)
        while len(data) > MAX_MOSAIC_BYTES and quality > _MIN_QUALITY:
            quality = max(quality - 15, _MIN_QUALITY)
            data = _jpeg(mosaic, quality)
        return _check_bytes(data)

    def decode(self, data: bytes, kept: int, frames: int, cell: int) -> NDArray[np.uint8]:
        """Decode a mosaic to patches [kept, frames, 3, cell, cell].

        The caller has bounded `kept`. Memory is allocated only if the picture's header matches it.
        Raises PatchError for anything else.
        """
        self.check_header(data, kept, frames, cell)
        if not kept:
            return np.zeros((0, frames, 3, cell, cell), np.uint8)
        rows, cols = mosaic_shape(kept * frames)
        with self._open(data) as picture:
            mosaic = np.asarray(picture, np.uint8)
        tiles = mosaic.reshape(rows, cell, cols, cell, 3).transpose(0, 2, 4, 1, 3)
        tiles = tiles.reshape(rows * cols, 3, cell, cell)[: kept * frames]
        return tiles.reshape(kept, frames, 3, cell, cell)

    def check_header(self, data: bytes, kept: int, frames: int, cell: int) -> None:
        """Check a mosaic's header against the arguments of `decode`, without decoding a pixel.
        Raises PatchError.
        """
        if not kept:
            if data:
                raise PatchError(f"a mosaic of {len(data)} bytes, but no kept cell")
            return
        _check_bytes(data)
        if problem := _STRUCTURE[self.kind](data):
            raise PatchError(f"the mosaic is not a complete {self.kind} picture: {problem}")
        rows, cols = mosaic_shape(kept * frames)
        with self._open(data) as picture:
            if picture.size != (cols * cell, rows * cell) or picture.mode != "RGB":
                raise PatchError(
                    f"the {self.kind} mosaic is {picture.size[0]}x{picture.size[1]} "
                    f"{picture.mode}, but the bitmap needs {cols * cell}x{rows * cell} RGB"
                )

    @contextmanager
    def _open(self, data: bytes) -> Iterator[Image.Image]:
        try:
            with Image.open(io.BytesIO(data), formats=(_FORMATS[self.kind],)) as picture:
                yield picture
        except _DECODE_ERRORS as error:
            raise PatchError(
                f"the mosaic is not a complete {self.kind} picture: {error}"
            ) from error


def _assemble(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[kept, frames, 3, cell, cell] -> [rows * cell, cols * cell, 3]; unused tiles are grey."""
    cell = patches.shape[-1]
    tiles = patches.reshape(-1, 3, cell, cell)
    rows, cols = mosaic_shape(len(tiles))
    mosaic = np.full((rows * cols, 3, cell, cell), 128, np.uint8)
    mosaic[: len(tiles)] = tiles
    mosaic = mosaic.reshape(rows, cols, 3, cell, cell).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(mosaic.reshape(rows * cell, cols * cell, 3))


def _jpeg(mosaic: Image.Image, quality: int) -> bytes:
    return _save(mosaic, format="JPEG", quality=quality, subsampling="4:4:4")


def _save(mosaic: Image.Image, **options: str | int) -> bytes:
    out = io.BytesIO()
    mosaic.save(out, **options)  # type: ignore[arg-type]
    return out.getvalue()


def _check_bytes(data: bytes) -> bytes:
    if len(data) > MAX_MOSAIC_BYTES:
        raise PatchError(
            f"a mosaic of {len(data)} bytes exceeds {MAX_MOSAIC_BYTES}; "
            "use the jpeg codec, or fewer cells (max_cells)"
        )
    return data
