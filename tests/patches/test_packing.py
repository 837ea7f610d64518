"""Packing of slots into chunks, and rejection of invalid chunks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.slot import Slot, SlotKind
from codecsight.patches.codec import PatchCodec, PatchError
from codecsight.patches.packing import pack, unpack

SPEC = GridSpec(cell=16, frames=2, rate=2.0, max_cells=48)


def slot_with(kept: np.ndarray, kind: SlotKind = SlotKind.DELTA, seed: int = 0) -> Slot:
    rng = np.random.default_rng(seed)
    count = int(kept.sum())
    return Slot(
        kind=kind,
        kept=kept,
        patches=rng.integers(0, 256, (count, 2, 3, 16, 16), np.uint8),
        reasons=rng.integers(1, 6, count).astype(np.uint8),
        times=(3.0, 3.5),
        capture_time=1_700_000_000.25,
    )


def some_chunk() -> Chunk:
    kept = np.zeros((3, 5), np.bool_)
    kept[1, 2:4] = True
    return pack(slot_with(kept), SPEC, "yard", PatchCodec("lossless"))


@given(st.integers(1, 6), st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=60)
def test_unpack_reverses_pack(rows: int, cols: int, density: float, seed: int) -> None:
    kept = np.random.default_rng(seed).random((rows, cols)) < density
    slot = slot_with(kept, SlotKind.ANCHOR if kept.all() else SlotKind.DELTA, seed)
    back = unpack(pack(slot, SPEC, "yard", PatchCodec("lossless")), SPEC)
    assert back.kind is slot.kind
    assert np.array_equal(back.kept, slot.kept)
    assert np.array_equal(back.patches, slot.patches)
    assert np.array_equal(back.reasons, slot.reasons)
    assert (back.times, back.capture_time) == (slot.times, slot.capture_time)


def test_the_bitmap_is_row_major_with_the_first_cell_in_the_highest_bit() -> None:
    kept = np.zeros((3, 5), np.bool_)
    kept[0, 0] = kept[1, 4] = True  # cells 0 and 9 of 15
    chunk = pack(slot_with(kept), SPEC, "yard", PatchCodec("lossless"))
    assert chunk.bitmap == bytes([0b10000000, 0b01000000])


INVALID = {
    "another model's cells": ({"fingerprint": "feedfeedfeedfeed"}, "model grid feedfeed"),
    "no model at all": ({"fingerprint": ""}, r"\(none\)"),
    "no rows": ({"rows": 0}, "0x5 cells"),
    "negative rows": ({"rows": -3, "cols": -5}, "cells"),
    "more cells than the model allows": ({"rows": 1 << 20, "cols": 1 << 20}, "1 to 48"),
    "bitmap too short": ({"bitmap": b"\x00"}, "bitmap of 1 bytes for 15 cells"),
    "bitmap too long": ({"bitmap": b"\x00" * 3}, "bitmap of 3 bytes"),
    "cells beyond the last": ({"bitmap": b"\x01\x81"}, "beyond the last"),
    "more cells kept than sent": ({"bitmap": b"\xff\xfe"}, "2 reasons for 15"),
    "fewer reasons than cells": ({"reasons": b"\x01"}, "1 reasons for 2"),
    "unknown reasons": ({"reasons": b"\x01\x63"}, "unknown reason"),
    "an anchor without every cell": ({"kind": SlotKind.ANCHOR}, "every cell"),
    "an unknown codec": ({"codec": "h264"}, "'h264'"),
    "a mosaic of another codec": ({"codec": "jpeg"}, "not a complete jpeg"),
    "no mosaic": ({"mosaic": b""}, "not a complete lossless"),
    "too few times": ({"times": (3.0,)}, "1 frame times"),
    "times that decrease": ({"times": (3.0, 2.0)}, "do not increase"),
    "a time that is not a number": ({"times": (3.0, float("nan"))}, "finite"),
    "infinite capture time": ({"capture_time": float("inf")}, "finite"),
}


@pytest.mark.parametrize(("fields", "message"), INVALID.values(), ids=INVALID.keys())
def test_an_invalid_chunk_is_rejected_with_its_stream(
    fields: dict[str, object], message: str
) -> None:
    with pytest.raises(PatchError, match=message) as error:
        unpack(replace(some_chunk(), **fields), SPEC)  # type: ignore[arg-type]
    assert "stream yard, chunk 0" in str(error.value)


def test_a_mosaic_for_another_number_of_cells_is_rejected() -> None:
    kept = np.ones((3, 5), np.bool_)
    larger = pack(slot_with(kept, SlotKind.ANCHOR), SPEC, "yard", PatchCodec("lossless"))
    with pytest.raises(PatchError, match="bitmap needs"):
        unpack(replace(some_chunk(), mosaic=larger.mosaic), SPEC)


@given(st.binary(max_size=6), st.binary(max_size=60), st.binary(max_size=300))
@settings(deadline=None)
def test_random_bytes_are_rejected_or_keep_no_cell(
    bitmap: bytes, reasons: bytes, mosaic: bytes
) -> None:
    chunk = replace(some_chunk(), bitmap=bitmap, reasons=reasons, mosaic=mosaic)
    try:
        slot = unpack(chunk, SPEC)
    except PatchError:
        return
    assert not slot.kept.any()
