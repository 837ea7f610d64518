"""Between a Slot and the Chunk that carries it."""

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
    """The chunk for a slot. Its `epoch` and `seq` are 0: the uplink that sends it numbers it."""
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
    """The slot in a chunk from the wire, every claim in it checked, cheap ones first.

    Raises PatchError naming the stream, the chunk and what is wrong with it.
    """
    with _naming(chunk):
        kept, reasons, codec = _claims(chunk, spec)
        patches = codec.decode(chunk.mosaic, len(reasons), spec.frames, spec.cell)
    return Slot(SlotKind(chunk.kind), kept, patches, reasons, chunk.times, chunk.capture_time)


def inspect(chunk: Chunk, spec: GridSpec) -> None:
    """Check everything that `unpack` checks except the mosaic's pixels, of which only the header
    is read. Raises PatchError likewise.
    """
    with _naming(chunk):
        _, reasons, codec = _claims(chunk, spec)
        codec.inspect(chunk.mosaic, len(reasons), spec.frames, spec.cell)


@contextmanager
def _naming(chunk: Chunk) -> Iterator[None]:
    try:
        yield
    except PatchError as error:
        raise PatchError(f"stream {chunk.stream}, chunk {chunk.seq}: {error}") from error


def _claims(
    chunk: Chunk, spec: GridSpec
) -> tuple[NDArray[np.bool_], NDArray[np.uint8], PatchCodec]:
    """The mask, the reasons and the codec that a chunk claims to have."""
    _fits(chunk, spec)
    kept = _kept(chunk)
    return kept, _reasons(chunk, int(kept.sum())), PatchCodec(chunk.codec)


def _fits(chunk: Chunk, spec: GridSpec) -> None:
    """Whether a chunk fits the model at all, before any of its content is looked at."""
    if chunk.fingerprint != spec.fingerprint:
        raise PatchError(
            f"its cells are for model grid {chunk.fingerprint or '(none)'}, not {spec.fingerprint}"
        )
    if min(chunk.rows, chunk.cols) < 1 or chunk.rows * chunk.cols > spec.max_cells:
        raise PatchError(f"{chunk.rows}x{chunk.cols} cells; 1 to {spec.max_cells} are allowed")
    if len(chunk.times) != spec.frames:
        raise PatchError(f"{len(chunk.times)} frame times; a slot has {spec.frames}")
    if not all(map(math.isfinite, (*chunk.times, chunk.capture_time))):
        raise PatchError("a time is not a finite number")
    if any(later <= time for time, later in zip(chunk.times, chunk.times[1:], strict=False)):
        raise PatchError("its frame times do not rise")


def _kept(chunk: Chunk) -> NDArray[np.bool_]:
    cells = chunk.rows * chunk.cols
    if len(chunk.bitmap) != -(-cells // 8):
        raise PatchError(f"a bitmap of {len(chunk.bitmap)} bytes for {cells} cells")
    bits = np.unpackbits(np.frombuffer(chunk.bitmap, np.uint8)).astype(np.bool_)
    if bits[cells:].any():
        raise PatchError("its bitmap keeps cells beyond the last")
    if chunk.kind == SlotKind.ANCHOR and not bits[:cells].all():
        raise PatchError("an anchor does not hold every cell")
    return bits[:cells].reshape(chunk.rows, chunk.cols)


def _reasons(chunk: Chunk, kept: int) -> NDArray[np.uint8]:
    reasons = np.frombuffer(chunk.reasons, np.uint8)
    if len(reasons) != kept:
        raise PatchError(f"{len(reasons)} reasons for {kept} kept cells")
    if len(reasons) and not (min(Reason) <= reasons.min() and reasons.max() <= max(Reason)):
        raise PatchError("a cell is kept for an unknown reason")
    return reasons
