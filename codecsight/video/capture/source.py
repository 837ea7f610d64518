"""Interface of packet sources: files, cameras and procedural scenes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo


class SourceError(CodecSightError):
    """A source that can't deliver video, permanently: retrying would not help."""


class SourceState(StrEnum):
    """State of a source. DOWN: waiting for the next attempt to connect. ENDED: no more attempts."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    DOWN = "down"
    ENDED = "ended"


OnState = Callable[[SourceState, str], None]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read.

    `transport` is RTSP's ("tcp" loses no packets, "udp" may). `paced` plays a file in real time
    instead of as fast as possible, `loop` restarts it at its end. After `stall_s` seconds without
    a packet a live source is STALLED, after `timeout_s` its connection is closed. The delay between
    attempts to connect grows from `retry_min_s` to at most `retry_max_s` seconds.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    paced: bool = False
    loop: bool = False
    timeout_s: float = 5.0
    stall_s: float = 2.0
    retry_min_s: float = 0.5
    retry_max_s: float = 30.0


class Source(Protocol):
    """A stream of packets.

    `items` yields the StreamInfo of each connection before its packets: consumers create a new
    decoder or muxer there. It ends when the stream is over or after `close`, which any thread and
    any signal handler may call. `state` and `state_detail` (the reason, without credentials)
    change while `items` is consumed; `on_state` is called at each change. `anomalies` counts
    errors that were recovered from. A `live` source runs in real time and does not wait for its
    consumer.
    """

    on_state: OnState | None
    live: bool

    @property
    def state(self) -> SourceState: ...  # noqa: D102
    @property
    def state_detail(self) -> str: ...  # noqa: D102
    @property
    def anomalies(self) -> Counter[str]: ...  # noqa: D102

    def items(self) -> Iterator[StreamInfo | Packet]:
        """Yield the packets in decoding order; may be called once."""
        ...

    def close(self) -> None:
        """End `items` promptly."""
        ...


class BaseSource:
    """Base of all sources: state, state changes and anomaly counts."""

    def __init__(self, *, live: bool) -> None:
        self.on_state: OnState | None = None
        self.live = live
        self.anomalies: Counter[str] = Counter()
        self.state = SourceState.CONNECTING
        self.state_detail = ""

    def set_state(self, state: SourceState, detail: str = "") -> None:
        """Enter `state`, and call `on_state` if the state or its detail changed."""
        if (state, detail) == (self.state, self.state_detail):
            return
        self.state, self.state_detail = state, detail
        if self.on_state is not None:
            self.on_state(state, detail)
