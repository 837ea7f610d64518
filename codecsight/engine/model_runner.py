"""The two model calls of a step: slots of all streams through the ViT, then slots and questions of
all streams through the text model.

Example: stream A has a delta of 3 cells and one question, stream B an anchor of 48 cells of which
this step prefills 50 tokens. One ViT call encodes 51 cells. One text model call has four segments:
A's slot, A's query context, A's question, and B's chunk.
"""

import time
from collections.abc import Iterator

from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import IndexAllocator, KVPool
from codecsight.engine.attention.segments import KVCopies
from codecsight.engine.results import JobResult
from codecsight.engine.scheduler import Allocation
from codecsight.engine.session import StreamSession
from codecsight.models.base import VisionLanguageModel

Scheduled = tuple[StreamSession, Allocation]
"""A stream, and its part of the step."""


def encode(model: VisionLanguageModel, scheduled: list[Scheduled]) -> None:
    """Run the ViT once over the slots of all streams, and store their features."""
    # A slot without changed cells needs no ViT time, but takes the same path.
    requests = [
        (session, request)
        for session, allocation in scheduled
        if (request := session.pending_encode) is not None
        and (allocation.encode or not len(request.encoded_cells))
    ]
    if not requests:
        return
    started = time.perf_counter()
    slots = [request.slot for _, request in requests]
    encoded_cells = [request.encoded_cells for _, request in requests]
    # All streams of an engine have a vision KV cache, or none has.
    caches = [request.vision_cache for _, request in requests if request.vision_cache is not None]
    features = model.encode_slots(slots, encoded_cells, caches or None)
    model.synchronize()
    ms = (time.perf_counter() - started) * 1e3
    cells = max(sum(slot.kept_count for slot in slots), 1)
    for (session, request), found in zip(requests, features, strict=True):
        session.add_features(found, ms * request.slot.kept_count / cells)


def run_text_model(
    model: VisionLanguageModel, pool: KVPool, scratch: IndexAllocator, scheduled: list[Scheduled]
) -> Iterator[JobResult]:
    """Run the text model once over the slots and questions of all streams; questions allocate their
    KV indices from `scratch`. Yields the results of finished jobs, stream by stream.
    """
    started = time.perf_counter()
    items = [
        (session, session.build_batch_item(allocation.tokens, allocation.questions, scratch))
        for session, allocation in scheduled
    ]
    segments = [segment for _, item in items for segment in item.segments]
    if not segments:
        return
    copies = KVCopies.join([copy for _, item in items for copy in item.copies])
    logits = forward(model, pool, segments, copies)
    model.synchronize()
    elapsed_ms = (time.perf_counter() - started) * 1e3
    ms_per_token = elapsed_ms / sum(len(segment.tokens) for segment in segments)
    for session, item in items:
        own_logits, logits = logits[: len(item.segments)], logits[len(item.segments) :]
        tokens = sum(len(segment.tokens) for segment in item.segments)
        result = session.finish_batch_item(item, own_logits, scratch, ms_per_token * tokens)
        if result is not None:
            yield result
