"""Conversion between a Slot and the Chunk that carries it.

A chunk from the network is not trusted: every field is checked before any memory is allocated by
its size.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.patches.codec import PatchCodec, PatchError


def pack(slot: Slot, spec: GridSpec, stream: str, codec: PatchCodec) -> Chunk:
    """Make the chunk of a slot. `epoch` and `seq` are 0 until the uplink sets them."""
    rows, cols = slot.kept.shape
    return Chunk(
        stream=stream,
        epoch=0,
        seq=0,
        fingerprint=spec.fingerprint,
        kind=slot.kind,
        rows=rows,
        cols=cols,
        bitmap=np.packbits(slot.kept).tobytes(),
        reasons=slot.reasons.tobytes(),
        codec=codec.kind,
        mosaic=codec.encode(slot.patches),
        times=slot.times,
        capture_time=slot.capture_time,
    )


def unpack(chunk: Chunk, spec: GridSpec) -> Slot:
    """Decode the slot in a chunk, after checking every field, the cheapest checks first.

    Raises PatchError, which names the stream, the chunk and the fault.
    """
    with _error_context(chunk):
        kept, reasons, codec = _read_fields(chunk, spec)
        patches = codec.decode(chunk.mosaic, len(reasons), spec.frames, spec.cell)
    return Slot(SlotKind(chunk.kind), kept, patches, reasons, chunk.times, chunk.capture_time)


def check_chunk(chunk: Chunk, spec: GridSpec) -> None:
    """Check a chunk as `unpack` does, but read only the header of the mosaic. Raises PatchError."""
    with _error_context(chunk):
        _, reasons, codec = _read_fields(chunk, spec)
        codec.check_header(chunk.mosaic, len(reasons), spec.frames, spec.cell)


@contextmanager
def _error_context(chunk: Chunk) -> Iterator[None]:
    try:
        yield
    except PatchError as error:
        raise PatchError(f"stream {chunk.stream}, chunk {chunk.seq}: {error}") from error


def _read_fields(
    chunk: Chunk, spec: GridSpec
) -> tuple[NDArray[np.bool_], NDArray[np.uint8], PatchCodec]:
    """The kept mask [rows, cols], the reasons [kept] and the codec of a chunk."""
    _check_size(chunk, spec)
    kept = _read_mask(chunk)
    return kept, _read_reasons(chunk, int(kept.sum())), PatchCodec(chunk.codec)


def _check_size(chunk: Chunk, spec: GridSpec) -> None:
    """Check a chunk's grid and times against the model, before its content is read."""
    if chunk.fingerprint != spec.fingerprint:
        raise PatchError(
            f"cells are for model grid {chunk.fingerprint or '(none)'}, not {spec.fingerprint}"
        )
    if min(chunk.rows, chunk.cols) < 1 or chunk.rows * chunk.cols > spec.max_cells:
        raise PatchError(f"{chunk.rows}x{chunk.cols} cells; 1 to {spec.max_cells} are allowed")
    if len(chunk.times) != spec.frames:
        raise PatchError(f"{len(chunk.times)} frame times; a slot has {spec.frames}")
    if not all(map(math.isfinite, (*chunk.times, chunk.capture_time))):
        raise PatchError("a time is not a finite number")
    if any(later <= time for time, later in zip(chunk.times, chunk.times[1:], strict=False)):
        raise PatchError("frame times do not increase")


def _read_mask(chunk: Chunk) -> NDArray[np.bool_]:
    cells = chunk.rows * chunk.cols
    if len(chunk.bitmap) != -(-cells // 8):
        raise PatchError(f"a bitmap of {len(chunk.bitmap)} bytes for {cells} cells")
    bits = np.unpackbits(np.frombuffer(chunk.bitmap, np.uint8)).astype(np.bool_)
    if bits[cells:].any():
        raise PatchError("the bitmap keeps cells beyond the last")
    if chunk.kind == SlotKind.ANCHOR and not bits[:cells].all():
        raise PatchError("an anchor does not have every cell")
    return bits[:cells].reshape(chunk.rows, chunk.cols)


def _read_reasons(chunk: Chunk, kept: int) -> NDArray[np.uint8]:
    reasons = np.frombuffer(chunk.reasons, np.uint8)
    if len(reasons) != kept:
        raise PatchError(f"{len(reasons)} reasons for {kept} kept cells")
    if len(reasons) and not (min(Reason) <= reasons.min() and reasons.max() <= max(Reason)):
        raise PatchError("a cell is kept for an unknown reason")
    return reasons
