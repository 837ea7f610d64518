"""Messages of the uplink protocol. One uplink carries one stream."""

from dataclasses import dataclass
from enum import IntEnum

from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec

PROTOCOL_VERSION = 1
"""Version that both ends must share. Raise it when an older peer would misread a newer one."""

MAX_MISSED_HEARTBEATS = 3
"""Heartbeat intervals without any message after which either end drops the connection."""


class RejectReason(IntEnum):
    """Why the cloud rejects an uplink. OLD_EPOCH and NO_CAPACITY may succeed on a retry; the others
    need a change of configuration or software first.
    """

    UNKNOWN_STREAM = 1
    FINGERPRINT = 2
    MALFORMED = 3
    PROTOCOL = 4
    OLD_EPOCH = 5
    NO_CAPACITY = 6


@dataclass(frozen=True, slots=True)
class Hello:
    """First message of the edge. `fingerprint` is empty until the edge has received a grid.
    `procedural` cameras show the world that the built-in model knows.
    """

    site: str
    stream: str
    protocol: int
    software: str
    fingerprint: str
    width: int
    height: int
    next_seq: int
    procedural: bool = False


@dataclass(frozen=True, slots=True)
class Welcome:
    """The cloud accepts the stream. The edge sends from `resume_seq` on, or from its newest anchor
    when `needs_anchor` is set.
    """

    epoch: int
    resume_seq: int
    needs_anchor: bool
    credits: int
    heartbeat_s: float
    spec: GridSpec


@dataclass(frozen=True, slots=True)
class Ack:
    """The cloud holds every chunk up to and including `seq`. `credits` more bytes may be sent
    before the next Ack.
    """

    epoch: int
    seq: int
    credits: int


@dataclass(frozen=True, slots=True)
class NeedAnchor:
    """The cloud lost the stream's state and needs an anchor."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class CameraStats:
    """State, rate and counters of one camera; counters restart with its process or with a new grid.
    Sent with the edge's heartbeats.

    `dropped` packets never reached the analysis; `slots_dropped` never reached the cloud.
    `trouble` says what is wrong with the recording, or will be soon; empty if nothing is.
    """

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
    slots_dropped: int = 0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Keep-alive of either end. `wall_time` is the sender's clock and shows clock skew."""

    wall_time: float
    stats: CameraStats | None


@dataclass(frozen=True, slots=True)
class Dropped:
    """The chunks `first` to `last`, both included, were dropped by the edge, or by the cloud's
    receive queue where they waited too long.
    """

    first: int
    last: int
    reason: str

    @property
    def count(self) -> int:
        """Number of dropped chunks."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Reject:
    """The cloud rejects the uplink. `retry_after_s` is 0 where an early retry can't succeed."""

    reason: RejectReason
    detail: str
    retry_after_s: float


EdgeMessage = Hello | Chunk | Heartbeat | Dropped
CloudMessage = Welcome | Ack | NeedAnchor | Heartbeat | Reject
