"""What the two ends of an uplink say to each other. One uplink carries one stream."""

from dataclasses import dataclass
from enum import IntEnum

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec

PROTOCOL = 1
"""The version both ends must speak; it changes when an old peer would misunderstand a new one."""


class RejectReason(IntEnum):
    """Why the cloud refuses an uplink; with the last two a retry helps, with the others a person
    must mend something first.
    """

    UNKNOWN_STREAM = 1
    FINGERPRINT = 2
    MALFORMED = 3
    PROTOCOL = 4
    OLD_EPOCH = 5
    NO_CAPACITY = 6


@dataclass(frozen=True, slots=True)
class Hello:
    """The edge's first word. `fingerprint` is empty until the edge has been told a grid."""

    site: str
    stream: str
    protocol: int
    software: str
    fingerprint: str
    width: int
    height: int
    next_seq: int


@dataclass(frozen=True, slots=True)
class Welcome:
    """The cloud accepts: send from `resume_seq` on, or a fresh anchor when `need_anchor`."""

    epoch: int
    resume_seq: int
    need_anchor: bool
    credits: int
    heartbeat_s: float
    spec: GridSpec


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to and including `seq` was taken; `credits` more bytes may be under way."""

    epoch: int
    seq: int
    credits: int


@dataclass(frozen=True, slots=True)
class NeedAnchor:
    """The cloud lost its picture of the stream and asks for every cell anew."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class CameraStats:
    """What the edge knows of a camera; rides on the heartbeat so that the cloud sees the fleet."""

    state: str
    frames: int
    fps: float
    source_bytes: int
    uplink_bytes: int
    cells_kept: int
    cells_total: int
    slots: int
    dropped: int
    anomalies: int
    segments: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life. `wall_time` is the sender's clock, so that skew can be seen."""

    wall_time: float
    stats: CameraStats | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The edge gave up the chunks `first`..`last` (inclusive) and says so."""

    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The cloud refuses; `retry_after_s` is 0 where trying again soon is useless."""

    reason: RejectReason
    detail: str
    retry_after_s: float


EdgeMessage = Hello | Chunk | Heartbeat | Dropped
CloudMessage = Welcome | Ack | NeedAnchor | Heartbeat | Reject
