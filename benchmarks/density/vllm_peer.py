"""`python -m benchmarks.density.vllm_peer FILE`: the density benchmark on vLLM.

Runs with and without vLLM's video pruning (EVS), on machines where vLLM is installed. The rows have
the columns of `benchmarks.density.run`.

Not yet run: vLLM's wheels are built for CUDA, and no GPU was available.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.density.measure import measure_level, streams_at_limit
from benchmarks.density.run import EVS_PRUNED, POLICIES
from benchmarks.density.systems import QUESTION, WINDOW, SlotAnswer, StatelessSystem, window_of
from benchmarks.density.traces import SlotTrace, make_traces
from benchmarks.record import origin
from codecsight.models.folder import DEFAULT_MODEL
from codecsight.models.loading import load_model
from codecsight.patches.cut import paste

LEVELS = (1, 4, 16, 32, 64, 128)


class VllmSystem(StatelessSystem):
    """vLLM's offline engine: each due window is one request, waiting requests form a batch."""

    def __init__(self, llm: Any, tokens_per_window: int, block_bytes: float) -> None:
        super().__init__()
        self._llm, self._bytes = llm, tokens_per_window * block_bytes

    def step(self) -> list[SlotAnswer]:
        """Answer all waiting windows."""
        from vllm import SamplingParams  # optional and slow to import

        batch = list(self._waiting)
        self._waiting.clear()
        chats = [_request(self._traces[stream], index) for stream, index in batch]
        greedy = SamplingParams(max_tokens=1, temperature=0)
        outputs = self._llm.generate(chats, greedy, use_tqdm=False)
        texts = [each.outputs[0].text.strip() for each in outputs]
        return [(*at, text) for at, text in zip(batch, texts, strict=True)]

    def flops(self) -> float:
        """Zero: operations are not counted here."""
        return 0.0

    def kv_bytes(self) -> float:
        """Bytes of keys and values of one window."""
        return self._bytes


def _request(trace: SlotTrace, index: int) -> dict[str, Any]:
    slots = window_of(trace, index)
    frames = np.concatenate([_frames(trace, each.kept, each.patches) for each in slots])
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
    return {"prompt": prompt, "multi_modal_data": {"video": [(frames, metadata)]}}


def _frames(
    trace: SlotTrace, kept: NDArray[np.bool_], patches: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Paste a slot's patches into frames [frames, height, width, 3]."""
    grid = trace.grid
    frames = np.zeros((patches.shape[1], grid.height, grid.width, 3), np.uint8)
    paste(frames, kept, patches)
    return frames


def main() -> None:
    """Measure and write the rows."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.density.vllm_peer", description=__doc__
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="JSON file to write")
    file = parser.parse_args().file
    from vllm import LLM  # optional and slow to import; --help works without it

    model = load_model(device="cpu")
    traces = make_traces(model.grid_spec(2.0, 48), 6, 30, POLICIES)
    shape, rows = model.kv, list[dict[str, Any]]()
    per_token = 2.0 * shape.layers * shape.heads * shape.head_dim * 2
    window = WINDOW * (traces[0].grid.cells + len(model.layout.slot(0, np.zeros((1, 1), np.bool_))))
    for name, more in (("vllm", {}), ("vllm-evs", {"video_pruning_rate": EVS_PRUNED})):
        llm = LLM(str(DEFAULT_MODEL), dtype="bfloat16", limit_mm_per_prompt={"video": 1}, **more)

        def make(_streams: int, llm: Any = llm) -> VllmSystem:
            return VllmSystem(llm, window, per_token)

        system_rows: list[dict[str, Any]] = []
        for streams in LEVELS:
            row, _ = measure_level(make, traces, streams, 1.0, time.perf_counter)
            system_rows.append(
                {"system": name, "concurrency": streams, **row, "flops_per_slot": None}
            )
        best = max(row["slots_per_s"] for row in system_rows)
        limit = streams_at_limit(make, traces, best, 512, time.perf_counter)
        rows += [row | {"streams_at_limit": limit} for row in system_rows]
    file.write_text(json.dumps({**origin(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
