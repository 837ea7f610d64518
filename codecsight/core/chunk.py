"""A slot on the wire."""

from dataclasses import dataclass

from codecsight.core.slot import SlotKind


@dataclass(frozen=True, slots=True)
class Chunk:
    """A Slot on the wire. `bitmap` is the kept mask, row-major, eight cells a byte, most
    significant bit first; `mosaic` the kept cells as one picture coded by `codec`.
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
        """Bytes this chunk is charged against the credits."""
        return len(self.mosaic) + len(self.bitmap) + len(self.reasons) + 64
