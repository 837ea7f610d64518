"""The kept cells of a slot as one picture in a still-image codec."""

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

CodecKind = Literal["jpeg", "lossless"]

MAX_MOSAIC_BYTES = 960 * 1024
"""Bytes a mosaic may have: with the rest of its chunk it stays under the wire's 1 MiB."""

_FORMATS = {"jpeg": "JPEG", "lossless": "PNG"}
_LOWEST_QUALITY = 30
# What Pillow raises for broken pictures, beside the OSErrors it documents.
_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, struct.error,
    TypeError, IndexError, KeyError, OverflowError,
    Image.DecompressionBombError,
)  # fmt: skip


class PatchError(CodecSightError):
    """Cells that can't be coded, or bytes that are not the cells they claim to be."""


def mosaic_shape(tiles: int) -> tuple[int, int]:
    """Rows and columns of the nearly square mosaic that holds so many tiles."""
    cols = math.isqrt(max(tiles - 1, 0)) + 1
    return -(-tiles // cols), cols


class PatchCodec:
    """Codes patches [kept, frames, 3, cell, cell] as one RGB mosaic, a cell's frames side by side.

    `jpeg` is 4:4:4, since mosaic neighbours are strangers and shared chroma would bleed from one
    to the next (cells of 32 px also align with JPEG's own 8 px blocks); `lossless` is PNG. Where
    a JPEG would exceed MAX_MOSAIC_BYTES its quality is lowered until it fits.
    """

    def __init__(self, kind: str = "jpeg", quality: int = 90) -> None:
        if kind not in get_args(CodecKind):
            raise PatchError(f"no patch codec is named {kind!r}; known: jpeg, lossless")
        self.kind = kind
        self._quality = quality

    def encode(self, patches: NDArray[np.uint8]) -> bytes:
        """The mosaic's bytes; empty for no patches. Raises PatchError if they can't fit."""
        if not len(patches):
            return b""
        mosaic = Image.fromarray(_assemble(patches))
        if self.kind == "lossless":
            return _bounded(_save(mosaic, format="PNG", compress_level=3))
        quality = self._quality
        data = _jpeg(mosaic, quality)
        while len(data) > MAX_MOSAIC_BYTES and quality > _LOWEST_QUALITY:
            quality = max(quality - 15, _LOWEST_QUALITY)
            data = _jpeg(mosaic, quality)
        return _bounded(data)

    def decode(self, data: bytes, kept: int, frames: int, cell: int) -> NDArray[np.uint8]:
        """The patches [kept, frames, 3, cell, cell]. The caller has bounded `kept`; nothing is
        allocated unless the picture's header agrees with it. Raises PatchError on anything else.
        """
        self.inspect(data, kept, frames, cell)
        if not kept:
            return np.zeros((0, frames, 3, cell, cell), np.uint8)
        rows, cols = mosaic_shape(kept * frames)
        with self._open(data) as picture:
            mosaic = np.asarray(picture, np.uint8)
        tiles = mosaic.reshape(rows, cell, cols, cell, 3).transpose(0, 2, 4, 1, 3)
        tiles = tiles.reshape(rows * cols, 3, cell, cell)[: kept * frames]
        return tiles.reshape(kept, frames, 3, cell, cell)

    def inspect(self, data: bytes, kept: int, frames: int, cell: int) -> None:
        """Check by its header that a mosaic is what `decode` would be asked for; PatchError if
        not. No pixel is decoded.
        """
        if not kept:
            if data:
                raise PatchError(f"a mosaic of {len(data)} bytes came for no kept cell")
            return
        _bounded(data)
        rows, cols = mosaic_shape(kept * frames)
        with self._open(data) as picture:
            if picture.size != (cols * cell, rows * cell) or picture.mode != "RGB":
                raise PatchError(
                    f"the {self.kind} mosaic is {picture.size[0]}x{picture.size[1]} "
                    f"{picture.mode}, but its bitmap asks for {cols * cell}x{rows * cell} RGB"
                )

    @contextmanager
    def _open(self, data: bytes) -> Iterator[Image.Image]:
        try:
            with Image.open(io.BytesIO(data), formats=(_FORMATS[self.kind],)) as picture:
                yield picture
        except _BROKEN as error:
            raise PatchError(f"the mosaic is no whole {self.kind} picture: {error}") from error


def _assemble(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[kept, frames, 3, cell, cell] -> [rows * cell, cols * cell, 3]; what is left over is grey."""
    cell = patches.shape[-1]
    tiles = patches.reshape(-1, 3, cell, cell)
    rows, cols = mosaic_shape(len(tiles))
    board = np.full((rows * cols, 3, cell, cell), 128, np.uint8)
    board[: len(tiles)] = tiles
    board = board.reshape(rows, cols, 3, cell, cell).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(board.reshape(rows * cell, cols * cell, 3))


def _jpeg(mosaic: Image.Image, quality: int) -> bytes:
    return _save(mosaic, format="JPEG", quality=quality, subsampling="4:4:4")


def _save(mosaic: Image.Image, **options: str | int) -> bytes:
    out = io.BytesIO()
    mosaic.save(out, **options)  # type: ignore[arg-type]
    return out.getvalue()


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_MOSAIC_BYTES:
        raise PatchError(
            f"a mosaic of {len(data)} bytes exceeds {MAX_MOSAIC_BYTES}; "
            "use the jpeg codec, or fewer cells (max_cells)"
        )
    return data
