"""A slot as it is sent from the edge to the cloud."""

from dataclasses import dataclass

from codecsight.core.slot import SlotKind

HEADER_BYTES = 64
"""Flat estimate of a chunk's remaining fields, for flow control."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A Slot on the wire.

    `bitmap` is the kept mask [rows, cols] in row-major order, eight cells a byte, most significant
    bit first. `reasons` has one byte per kept cell. `mosaic` is one picture of all kept cells,
    coded by `codec`. `times` are stream seconds of the sampled frames; `capture_time` is the wall
    clock of the last one. `seq` rises by one per chunk of a stream.
    """

    stream: str
    epoch: int
    seq: int
    fingerprint: str
    kind: SlotKind
    rows: int
    cols: int
    bitmap: bytes
    reasons: bytes
    codec: str
    mosaic: bytes
    times: tuple[float, ...]
    capture_time: float

    @property
    def size(self) -> int:
        """Bytes that this chunk uses of the stream's credits."""
        return len(self.mosaic) + len(self.bitmap) + len(self.reasons) + HEADER_BYTES
