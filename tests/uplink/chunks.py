"""Chunks and connections for the tests of this room and of the gRPC that carries it."""

from dataclasses import replace

import numpy as np

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack

SPEC = GridSpec(cell=16, frames=2, rate=2.0, max_cells=16)
STREAM = "north.gate"


def slot_of(kept: np.ndarray, kind: SlotKind, value: int = 90) -> Slot:
    """A flat grey slot."""
    count = int(kept.sum())
    return Slot(
        kind=kind,
        kept=kept,
        patches=np.full((count, 2, 3, 16, 16), value, np.uint8),
        reasons=np.full(count, Reason.PIXELS, np.uint8),
        times=(1.0, 1.5),
        capture_time=1_700_000_000.5,
    )


def _packed(kept: np.ndarray, kind: SlotKind) -> Chunk:
    return pack(slot_of(kept, kind), SPEC, STREAM, PatchCodec("lossless"))


ANCHOR = _packed(np.ones((2, 2), np.bool_), SlotKind.ANCHOR)
DELTA = _packed(np.eye(2, dtype=np.bool_), SlotKind.DELTA)


def anchor(**claims: object) -> Chunk:
    """A whole slot of 2 x 2 cells."""
    return replace(ANCHOR, **claims)  # type: ignore[arg-type]


def delta(**claims: object) -> Chunk:
    """A slot that keeps two of 2 x 2 cells."""
    return replace(DELTA, **claims)  # type: ignore[arg-type]


def padded_jpeg(ballast: int) -> bytes:
    """A JPEG of four cells in which comments weigh so many bytes."""
    plain = PatchCodec("jpeg").encode(np.full((4, 2, 3, 16, 16), 90, np.uint8))
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD)
    return plain[:2] + comment * (ballast // len(comment)) + plain[2:]
