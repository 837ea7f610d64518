"""Sample chunks for the tests of the uplink and of its gRPC binding."""

from dataclasses import replace

import numpy as np

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import Reason, Slot, SlotKind
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack

SPEC = GridSpec(cell=16, frames=2, rate=2.0, max_cells=16)
STREAM = "north.gate"


def grey_slot(kept: np.ndarray, kind: SlotKind, value: int = 90) -> Slot:
    """A slot of uniform patches."""
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
    return pack(grey_slot(kept, kind), SPEC, STREAM, PatchCodec("lossless"))


ANCHOR = _packed(np.ones((2, 2), np.bool_), SlotKind.ANCHOR)
DELTA = _packed(np.eye(2, dtype=np.bool_), SlotKind.DELTA)


def anchor(**fields: object) -> Chunk:
    """An anchor of 2 x 2 cells, with some fields replaced."""
    return replace(ANCHOR, **fields)  # type: ignore[arg-type]


def delta(**fields: object) -> Chunk:
    """A delta with two of 2 x 2 cells, with some fields replaced."""
    return replace(DELTA, **fields)  # type: ignore[arg-type]


def padded_jpeg(padding: int) -> bytes:
    """A JPEG of four cells with about `padding` bytes of application data."""
    plain = PatchCodec("jpeg").encode(np.full((4, 2, 3, 16, 16), 90, np.uint8))
    segment = b"\xff\xe0\xff\xff" + bytes(0xFFFD)
    return plain[:2] + segment * (padding // len(segment)) + plain[2:]
