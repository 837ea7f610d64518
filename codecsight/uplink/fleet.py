"""Status of the cloud's streams and workers, as reported by its control service."""

from dataclasses import dataclass, field

from codecsight.core.answer import Answer
from codecsight.uplink.messages import CameraStats


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """Status of one stream.

    `state` is `waiting` (for its first slot) or `live`. `camera` comes from the edge's last
    heartbeat, None before the first. `owner` is the worker that holds the lease of `epoch`. The
    window holds `tokens`; `kv_blocks` are reserved for it. `answers` has the newest answer to each
    standing question.
    """

    site: str
    stream: str
    state: str
    camera: CameraStats | None
    owner: str
    epoch: int
    tokens: int
    kv_blocks: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class StreamWindow:
    """State of one stream at its worker: `tokens` in its window, KV blocks reserved for it, and
    the newest answer to each standing question.
    """

    tokens: int
    kv_blocks: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class FlopCount:
    """Floating point operations in the ViT and in the language model; a multiply-add is two."""

    vit: float
    llm: float


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Status of one GPU worker; counts are since it started. `kv_by_site` are the KV blocks that
    each site's streams have reserved.

    `cells_kept` of `cells_total` visual tokens were kept, at a cost of `spent`. The other two
    are the computed cost of the same streams without pruning: `recompute` encodes and prefills the
    whole window after every move, `once` encodes and prefills every slot once.
    """

    name: str
    streams: int
    kv_used: int
    kv_total: int
    cells_kept: int
    cells_total: int
    spent: FlopCount
    recompute: FlopCount
    once: FlopCount
    answers: int
    kv_by_site: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """Status of the cloud: its software version, the name of its model, and its workers."""

    software: str
    model: str
    workers: tuple[WorkerStatus, ...]
