"""Interface of packet sources: files, cameras and procedural scenes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.sound import AudioInfo, AudioPacket

NO_KEY_FRAME = "no key frame came; set the camera's I-frame interval to 2-4 s"


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
OnAudio = Callable[[AudioInfo | AudioPacket], None]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read.

    `transport` is RTSP's ("tcp" loses no packets, "udp" may). `paced` plays a file in real time
    instead of as fast as possible, `loop` restarts it at its end. After `stall_s` seconds without
    a packet a live source is STALLED, after `timeout_s` its connection is closed. The delay between
    attempts to connect grows from `retry_min_s` to at most `retry_max_s` seconds; after a refused
    login from `login_retry_min_s` to `login_retry_max_s`, because cameras lock users out. With
    `end_on_refused_login` a refused login is a SourceError instead. A still picture is fetched
    every `poll_s` seconds, or slower.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    paced: bool = False
    loop: bool = False
    timeout_s: float = 5.0
    stall_s: float = 2.0
    retry_min_s: float = 0.5
    retry_max_s: float = 30.0
    login_retry_min_s: float = 300.0
    login_retry_max_s: float = 3600.0
    end_on_refused_login: bool = False
    poll_s: float = 1.0
    audio: bool = False


class Source(Protocol):
    """A stream of packets.

    `items` yields the StreamInfo of each connection before its packets: consumers create a new
    decoder or muxer there. It ends when the stream is over or after `close`, which any thread and
    any signal handler may call. `state` and `state_detail` (the reason, without credentials)
    change while `items` is consumed; `on_state` is called at each change. `anomalies` counts
    errors that were recovered from. A `live` source runs in real time and does not wait for its
    consumer. `on_audio` is called with the AudioInfo of each connection that has sound, after its
    StreamInfo, and with its packets if the options say `audio`. `polled_s` is the interval at which
    a still picture is fetched, 0 for video.
    """

    on_state: OnState | None
    on_audio: OnAudio | None
    live: bool
    polled_s: float

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
        self.on_audio: OnAudio | None = None
        self.live = live
        self.polled_s = 0.0
        self.anomalies: Counter[str] = Counter()
        self.state = SourceState.CONNECTING
        self.state_detail = ""

    def hear(self, item: AudioInfo | AudioPacket) -> None:
        """Pass on sound to `on_audio`."""
        if self.on_audio is not None:
            self.on_audio(item)

    def set_state(self, state: SourceState, detail: str = "") -> None:
        """Enter `state`, and call `on_state` if the state or its detail changed."""
        if (state, detail) == (self.state, self.state_detail):
            return
        self.state, self.state_detail = state, detail
        if self.on_state is not None:
            self.on_state(state, detail)
