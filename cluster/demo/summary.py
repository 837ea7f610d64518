"""Metrics collected during the demo, and their summary."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from cluster.demo.ground_truth import QuestionScore
from codecsight.core.answer import Answer
from codecsight.uplink.fleet import FlopCount, StreamStatus, WorkerStatus
from codecsight.uplink.messages import CameraStats

RATE_POLLS = 6


@dataclass(slots=True)
class DemoMetrics:
    """Newest status of streams and workers, and every distinct answer so far."""

    streams: dict[str, StreamStatus] = field(default_factory=dict)
    answers: dict[tuple[str, str, float], Answer] = field(default_factory=dict)
    workers: tuple[WorkerStatus, ...] = ()
    _sent: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def add(self, streams: Iterable[StreamStatus], workers: tuple[WorkerStatus, ...]) -> None:
        """Add the results of one poll of the cloud."""
        for status in streams:
            self.streams[status.stream] = status
            for answer in status.answers:
                self.answers[status.stream, answer.question, answer.end] = answer
            if status.camera is not None:
                sent = (time.monotonic(), status.camera.uplink_bytes)
                self._sent[status.stream] = [*self._sent.get(status.stream, []), sent][-RATE_POLLS:]
        self.workers = workers or self.workers

    def uplink_rate(self, stream: str) -> float:
        """Bytes per second sent by a stream, over the last RATE_POLLS polls."""
        sent = self._sent.get(stream, [])
        if len(sent) < 2:
            return 0.0
        (begin, before), (end, after) = sent[0], sent[-1]
        return (after - before) / max(end - begin, 1e-3)

    @property
    def cameras(self) -> dict[str, CameraStats]:
        """The newest statistics of each camera that has reported."""
        return {name: status.camera for name, status in self.streams.items() if status.camera}


@dataclass(frozen=True, slots=True)
class ArchiveCheck:
    """Number of archived segments, of those with a correct checksum, and their total size."""

    segments: int
    verified: int
    bytes: int


def summarise(
    metrics: DemoMetrics,
    archived: ArchiveCheck,
    scores: Mapping[str, QuestionScore],
    seconds: float,
    left_over: int,
) -> dict[str, Any]:
    """The demo's result as a dictionary for JSON.

    `left_over` is the number of processes that had to be terminated at the end.
    """
    cameras = metrics.cameras
    workers = metrics.workers
    spent, recompute, once = (
        _sum(getattr(worker, name) for worker in workers) for name in ("spent", "recompute", "once")
    )
    return {
        "seconds": round(seconds, 1),
        "cameras": {
            name: {**asdict(stats), "fps": round(stats.fps, 1)} for name, stats in cameras.items()
        },
        "answers": [_row(answer) for answer in metrics.answers.values()],
        "answers_against_truth": {
            question: {
                "checked": score.checked,
                "right": score.right,
                "best_constant_right": score.best_constant,
            }
            for question, score in scores.items()
        },
        "source_bytes": sum(stats.source_bytes for stats in cameras.values()),
        "uplink_bytes": sum(stats.uplink_bytes for stats in cameras.values()),
        "cells_kept": sum(worker.cells_kept for worker in workers),
        "cells_total": sum(worker.cells_total for worker in workers),
        "flops": spent.vit + spent.llm,
        "flops_dense": recompute.vit + recompute.llm,
        "flops_by_part": {
            "spent": asdict(spent),
            "dense_windows": asdict(recompute),
            "dense_slots": asdict(once),
        },
        "segments_archived": archived.segments,
        "segments_verified": archived.verified,
        "archived_bytes": archived.bytes,
        "processes_left": left_over,
    }


def _row(answer: Answer) -> dict[str, Any]:
    return {**asdict(answer), "probability": round(answer.probability, 4)}


def _sum(counts: Iterable[FlopCount]) -> FlopCount:
    counts = list(counts)
    return FlopCount(sum(c.vit for c in counts), sum(c.llm for c in counts))
