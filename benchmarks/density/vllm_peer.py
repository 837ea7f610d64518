"""`python -m benchmarks.density.vllm_peer FILE`: the same streams on vLLM, with and without its
video pruning (EVS), for machines on which vLLM is installed. Rows are as those of `run`.

It has not been run: vLLM's wheels are built for CUDA, and there was no GPU to run them on.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.density.measure import level, streams_at_limit
from benchmarks.density.run import EVS_PRUNED, POLICIES
from benchmarks.density.systems import QUESTION, WINDOW, Said, StatelessSystem, window_of
from benchmarks.density.traces import SlotTrace, make_traces
from benchmarks.record import origin
from codecsight.models.folder import DEFAULT_MODEL
from codecsight.models.loading import load_model
from codecsight.patches.cut import paste

LEVELS = (1, 4, 16, 32, 64, 128)


class VllmSystem(StatelessSystem):
    """Each due window is a request of its own; those that wait are handed over together."""

    def __init__(self, llm: Any, tokens_per_window: int, block_bytes: float) -> None:
        super().__init__()
        self._llm, self._bytes = llm, tokens_per_window * block_bytes

    def work(self) -> list[Said]:
        """Answer all that wait."""
        from vllm import SamplingParams

        batch = list(self._waiting)
        self._waiting.clear()
        chats = [_request(self._films[stream], index) for stream, index in batch]
        greedy = SamplingParams(max_tokens=1, temperature=0)
        found = self._llm.generate(chats, greedy, use_tqdm=False)
        texts = [each.outputs[0].text.strip() for each in found]
        return [(*at, text) for at, text in zip(batch, texts, strict=True)]

    def flops(self) -> float:
        """Not counted."""
        return 0.0

    def kv_bytes(self) -> float:
        """Keys and values of a window."""
        return self._bytes


def _request(film: SlotTrace, index: int) -> dict[str, Any]:
    slots = window_of(film, index)
    pictures = np.concatenate([_pictures(film, each.kept, each.patches) for each in slots])
    times = [moment for slot in slots for moment in slot.times]
    prompt = (
        "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>"
        f"{QUESTION.text}<|im_end|>\n<|im_start|>assistant\n"
    )
    rate = (len(times) - 1) / (times[-1] - times[0])
    metadata = {
        "fps": rate,
        "total_num_frames": len(times),
        "frames_indices": [round(moment * rate) for moment in times],
        "do_sample_frames": False,
    }
    return {"prompt": prompt, "multi_modal_data": {"video": [(pictures, metadata)]}}


def _pictures(
    film: SlotTrace, kept: NDArray[np.bool_], patches: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """[frames, height, width, 3]."""
    grid = film.grid
    pictures = np.zeros((patches.shape[1], grid.height, grid.width, 3), np.uint8)
    paste(pictures, kept, patches)
    return pictures


def main() -> None:
    """Measure, and write the rows."""
    from vllm import LLM

    model = load_model(device="cpu")
    films = make_traces(model.grid_spec(2.0, 48), 6, 30, POLICIES)
    shape, rows = model.kv, list[dict[str, Any]]()
    per_token = 2.0 * shape.layers * shape.heads * shape.head_dim * 2
    window = WINDOW * (films[0].grid.cells + len(model.layout.slot(0, np.zeros((1, 1), np.bool_))))
    for name, more in (("vllm", {}), ("vllm-evs", {"video_pruning_rate": EVS_PRUNED})):
        llm = LLM(str(DEFAULT_MODEL), dtype="bfloat16", limit_mm_per_prompt={"video": 1}, **more)

        def make(_streams: int, llm: Any = llm) -> VllmSystem:
            return VllmSystem(llm, window, per_token)

        own: list[dict[str, Any]] = []
        for streams in LEVELS:
            row, _ = level(make, films, streams, 1.0, time.perf_counter)
            own.append({"system": name, "concurrency": streams, **row, "flops_per_slot": None})
        best = max(row["slots_per_s"] for row in own)
        limit = streams_at_limit(make, films, best, 512, time.perf_counter)
        rows += [row | {"streams_at_limit": limit} for row in own]
    Path(sys.argv[1]).write_text(json.dumps({**origin(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
