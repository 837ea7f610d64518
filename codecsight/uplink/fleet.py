"""What the cloud tells of its streams and workers: the rows of a fleet's tables."""

from dataclasses import dataclass

from codecsight.core.answer import Answer
from codecsight.uplink.messages import CameraStats


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One stream. `state` is placing, live, draining or lost; `camera` is what the edge last said,
    None before its first heartbeat. `owner` is the worker that holds the lease of `epoch`;
    `tokens` stand in the stream's window and occupy `kv_blocks`. `answers` are the newest to each
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
    """What a stream holds at its worker: `tokens` in its window, `kv_blocks` reserved for it, the
    newest answers.
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
    """One GPU worker, counted since it began. `cells_kept` of `cells_total` visual tokens were
    encoded, for `spent` operations. Two dense twins of the same streams prune nothing: `recompute`
    encodes and prefills the whole window anew each time it has moved, `once` every slot once.
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


@dataclass(frozen=True, slots=True)
class CloudStatus:
    """The cloud itself: its software, the model that watches, and its workers."""

    software: str
    model: str
    workers: tuple[WorkerStatus, ...]
