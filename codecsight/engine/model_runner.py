"""The two passes of a step: slots of all streams through the ViT, then slots and questions through
the language model.
"""

import time
from collections.abc import Iterator

from codecsight.engine.attention.kernels import forward
from codecsight.engine.attention.pool import BlockTable, KVPool
from codecsight.engine.attention.segments import KVCopies
from codecsight.engine.results import JobResult
from codecsight.engine.scheduler import Allocation
from codecsight.engine.session import StreamSession
from codecsight.models.base import VisionLanguageModel

Chosen = tuple[StreamSession, Allocation]
"""A stream, and its part in the step."""


def encode(model: VisionLanguageModel, chosen: list[Chosen]) -> None:
    """One ViT call for the slots of all streams."""
    todo = [
        (session, look)
        for session, share in chosen
        if (look := session.unseen) is not None and (share.encode or not len(look.own))
    ]
    if not todo:
        return
    started = time.perf_counter()
    slots, own = [look.slot for _, look in todo], [look.own for _, look in todo]
    memories = [look.remembers for _, look in todo if look.remembers is not None]
    features = model.encode_slots(slots, own, memories or None)
    model.synchronize()
    ms = (time.perf_counter() - started) * 1e3
    cells = max(sum(slot.kept_count for slot in slots), 1)
    for (session, look), found in zip(todo, features, strict=True):
        session.encoded(found, ms * look.slot.kept_count / cells)


def prefill(
    model: VisionLanguageModel, pool: KVPool, scratch: BlockTable, chosen: list[Chosen]
) -> Iterator[JobResult]:
    """One call of the language model for the slots and questions of all streams; questions take
    their rows from `scratch`. Gives what is finished by it, stream by stream.
    """
    started = time.perf_counter()
    parts = [
        (session, session.part(share.tokens, share.asks, scratch)) for session, share in chosen
    ]
    runs = [run for _, part in parts for run in part.runs]
    if not runs:
        return
    copies = KVCopies.join([copy for _, part in parts for copy in part.copies])
    logits = forward(model, pool, runs, copies)
    model.synchronize()
    ms = (time.perf_counter() - started) * 1e3 / sum(len(run.tokens) for run in runs)
    for session, part in parts:
        mine, logits = logits[: len(part.runs)], logits[len(part.runs) :]
        tokens = sum(len(run.tokens) for run in part.runs)
        result = session.done(part, mine, scratch, ms * tokens)
        if result is not None:
            yield result
