"""Where packets come from: one contract for files, cameras and the procedural world."""

import importlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, cast
from urllib.parse import urlsplit, urlunsplit

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo


class SourceError(CodecSightError):
    """A source that can never give video: trying again would not help."""


class SourceState(StrEnum):
    """Where a source stands. DOWN waits for its next attempt, ENDED makes none any more."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    DOWN = "down"
    ENDED = "ended"


OnState = Callable[[SourceState, str], None]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How a source is read.

    `transport` is RTSP's ("tcp" loses nothing, "udp" may). `paced` gives a file in real time
    instead of as fast as possible, `loop` begins it anew at its end. `timeout_s` is the longest
    silence before a live connection is given up, `stall_s` before it is called stalled. Attempts
    are `retry_min_s` apart at first and at most `retry_max_s`.
    """

    transport: Literal["tcp", "udp"] = "tcp"
    paced: bool = False
    loop: bool = False
    timeout_s: float = 5.0
    stall_s: float = 2.0
    retry_min_s: float = 0.5
    retry_max_s: float = 30.0


class Source(Protocol):
    """Anything that gives a stream's packets.

    `items` starts every connection with its StreamInfo: decoders and muxers are built anew there.
    It ends when the stream is over or `close` was called, which any thread and any signal handler
    may do. `state` and `state_detail` (the reason, fit to be shown) move while it is consumed,
    and `on_state` is called at each move. `anomalies` counts what went wrong and was survived.
    `live` sources run by the clock and wait for nobody.
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
        """Give the packets, in decoding order; may be called once."""
        ...

    def close(self) -> None:
        """End `items` promptly."""
        ...


class BaseSource:
    """What every source tells of itself; a base for sources."""

    def __init__(self, *, live: bool) -> None:
        self.on_state: OnState | None = None
        self.live = live
        self.anomalies: Counter[str] = Counter()
        self.state = SourceState.CONNECTING
        self.state_detail = ""

    def set_state(self, state: SourceState, detail: str = "") -> None:
        """Enter `state`, telling `on_state` when it or its reason is new."""
        if (state, detail) == (self.state, self.state_detail):
            return
        self.state, self.state_detail = state, detail
        if self.on_state is not None:
            self.on_state(state, detail)


def open_source(url: str, options: SourceOptions | None = None) -> Source:
    """The source for a file's path, a camera's URL, or `world://NAME?seed=..`.

    Files are looked at here, so that a bad one raises SourceError at once; a camera may come
    later, so only a URL nobody can open does.
    """
    options = options or SourceOptions()
    try:
        scheme = urlsplit(url).scheme.lower() if "://" in url else ""
    except ValueError as error:
        raise SourceError(f"{url.rpartition('@')[2]}: no URL: {error}") from error
    if scheme == "world":
        world = importlib.import_module("codecsight.world.source")
        return cast(Source, world.open_world(url, options))
    if scheme in ("", "file"):
        from codecsight.video.capture.file_source import FileSource

        return FileSource(url.removeprefix("file://"), options)
    from codecsight.video.capture.live_source import LiveSource

    return LiveSource(url, options)


def redact_url(url: str) -> str:
    """The URL without user and password, fit to be shown and logged."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
