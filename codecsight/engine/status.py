"""Where the engine stands."""

from dataclasses import dataclass

from codecsight.engine.resources.flops import Work


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream: `slots` and `tokens` in its window, KV `blocks` reserved for it and `held` by it
    right now, jobs `waiting`; bytes kept `beside` the pool right now, of which `remembered` are the
    ViT's keys and values.
    """

    slots: int
    tokens: int
    blocks: int
    held: int
    beside: int
    remembered: int
    waiting: int
    needs_anchor: bool
    work: Work


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """KV blocks reserved, left to be reserved, and held right now; bytes set aside for streams, the
    whole pool among them, and those kept beside the pool right now; the open streams, and the work
    of all streams ever open.
    """

    blocks_used: int
    blocks_free: int
    blocks_held: int
    bytes_used: int
    bytes_beside: int
    streams: dict[str, StreamStatus]
    work: Work
