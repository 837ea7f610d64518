"""A GpuWorker in this process, its calls, and chunks for it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from actors.gpu_worker import GpuWorker
from codecsight.config.cloud_config import CloudConfig
from codecsight.core.answer import Answer
from codecsight.core.chunk import Chunk
from codecsight.core.grid import GridSpec
from codecsight.core.question import Question
from codecsight.core.slot import Slot, SlotKind
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.messages import PROTOCOL_VERSION, Hello, Reject

STREAM = "yard.gate"
QUESTIONS = ("Is there a person?", "How many people are there?")


workers: list[GpuWorker] = []
"""Those whose threads the fixture must end."""


def new_worker(
    folder: Path,
    memory: dict[str, int] | None = None,
    questions: Sequence[str] = QUESTIONS,
    max_utilization: float = 0.9,
) -> GpuWorker:
    config = {
        "sites": ["yard"],
        "model": str(folder),
        "max_cells": 12,
        "engine": {"window": 4, "stride": 2, "max_utilization": max_utilization, **(memory or {})},
        "questions": list(questions),
    }
    workers.append(GpuWorker("gpu:here:0", CloudConfig.model_validate(config)))
    return workers[-1]


def push(worker: GpuWorker, chunk: Chunk) -> str | Reject | None:
    return asyncio.run(worker.push(chunk))


def ask(worker: GpuWorker, stream: str, question: Question) -> Answer | str:
    return asyncio.run(worker.ask(stream, question))


def make_hello(stream: str = STREAM, width: int = 640) -> Hello:
    return Hello("yard", stream, PROTOCOL_VERSION, "test", "", width, 480, 0)


def try_open(worker: GpuWorker, hello: Hello, epoch: int = 1) -> SessionGrant | Reject:
    return asyncio.run(worker.open(hello, epoch))


def open_stream(worker: GpuWorker, epoch: int = 7, hello: Hello | None = None) -> SessionGrant:
    grant = try_open(worker, hello or make_hello(), epoch)
    assert isinstance(grant, SessionGrant)
    return grant


def make_chunk(
    spec: GridSpec,
    seq: int,
    epoch: int = 7,
    kind: SlotKind = SlotKind.ANCHOR,
    size: tuple[int, int] = (640, 480),
    stream: str = STREAM,
) -> Chunk:
    grid = spec.fit(*size)
    kept = np.zeros((grid.rows, grid.cols), np.bool_)
    kept[: None if kind is SlotKind.ANCHOR else 1] = True
    count = int(kept.sum())
    patches = np.full((count, spec.frames, 3, spec.cell, spec.cell), 90, np.uint8)
    reasons = np.ones(count, np.uint8)
    times = tuple(seq + step / 2 for step in range(spec.frames))
    slot = Slot(kind, kept, patches, reasons, times, 1e9 + seq)
    return replace(pack(slot, spec, stream, PatchCodec("lossless")), seq=seq, epoch=epoch)
