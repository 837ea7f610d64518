"""One recorded stretch of video, and the row that finds it again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """The index row of a segment. `start` and `end` are wall-clock seconds since the epoch (the
    edge's capture time), `gops` the seconds after `start` at which a key frame stands, `key` the
    object's key in the store, `sha256` its content in hex.
    """

    stream: str
    start: float
    end: float
    gops: tuple[float, ...]
    bytes: int
    sha256: str
    key: str
