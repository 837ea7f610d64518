"""`python -m benchmarks.gpu`: everything that needs a GPU, within eight minutes.

Runs the tests marked `gpu`, the density benchmark with the default checkpoint and with random
weights in the shape of a larger model, and both attention kernels. Each part has a time limit and
is recorded as soon as it ends, so that a part that hangs does not affect the others.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.record import RESULTS, record
from codecsight.engine.attention.kernels import FlexAttention, LoopAttention
from codecsight.engine.attention.pool import KVPool
from codecsight.engine.attention.segments import AttentionSpan, KVCopies, PackedSegment
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.prompt import Tokens
from codecsight.models.tiny import byte_tokenizer, random_network

ROOT = Path(__file__).parents[1]
TESTS_S, DENSITY_S = 150, 140
SHAPE = "qwen3-vl-2b"


def main() -> None:
    """Run every part and write `results/gpu.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="`cpu` tries the script without a GPU")
    parser.add_argument("--shape", default=SHAPE, help="shape of the larger model")
    device, shape = (given := parser.parse_args()).device, given.shape
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device found; `--device cpu` tries the script without one")
    result: dict[str, Any] = {"device": _name(device), "torch": torch.__version__}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "kernels": lambda: kernels(device),
        "tests": lambda: _run(TESTS_S, "-m", "pytest", "-m", "gpu", "tests/gpu", "-q"),
        "density": lambda: _density("density-gpu", device, None),
        "density, larger": lambda: _density(f"density-gpu-{shape}", device, shape),
    }
    for name, part in parts.items():
        started = time.perf_counter()
        try:
            result[name] = part()
        except Exception as error:  # noqa: BLE001 - recorded; the other parts go on
            result[name] = {"error": f"{type(error).__name__}: {error}"}
        result[name]["seconds"] = round(time.perf_counter() - started, 1)
        print(record("gpu", result), name, result[name], flush=True)


def kernels(device: str) -> dict[str, Any]:
    """Milliseconds per layer of each attention kernel, for batches of 4, 16 and 64 segments.

    Half of the segments are slots of 40 tokens, half are questions of 12 tokens, over windows of
    250 to 350 tokens.
    """
    return {f"{count} segments": _kernels(device, count) for count in (4, 16, 64)}


def _kernels(device: str, count: int) -> dict[str, float]:
    tokenizer = byte_tokenizer()
    model = Qwen3VL(random_network(tokenizer, 1).to(device), tokenizer, name="random")
    pool = KVPool(model.kv, count * 24)
    random = np.random.default_rng(count)
    segments, start = [], 0
    for number in range(count):
        window, new = int(random.integers(250, 350)), (40, 12)[number % 2]
        kv_indices = np.arange(start, start + window)
        positions = np.arange(window - new, window)
        text = Tokens.text([1] * new)
        span, read = AttentionSpan.causal(kv_indices), (new - 1,)
        segment = PackedSegment(text, model.no_cells(), kv_indices[-new:], positions, span, read)
        segments.append(segment)
        start += window
    tokens = sum(len(segment.tokens) for segment in segments)
    heads, width = model.kv.heads, model.kv.head_dim
    query = torch.randn(tokens, 2 * heads, width, device=device)
    key, value = (torch.randn(tokens, heads, width, device=device) for _ in range(2))
    milliseconds = {}
    for kernel in (LoopAttention, FlexAttention):
        with torch.inference_mode():
            attend = kernel(model, pool, segments, KVCopies.join([]))
            call = partial(attend, 0, query, key, value, False)
            milliseconds[kernel.__name__] = _timed(call, device)
    return milliseconds


def _timed(call: Callable[[], object], device: str, times: int = 20) -> float:
    """Mean milliseconds per call, after a warm-up."""
    for _ in range(3):
        call()
    _wait(device)
    started = time.perf_counter()
    for _ in range(times):
        call()
    _wait(device)
    return round((time.perf_counter() - started) / times * 1e3, 3)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _density(name: str, device: str, shape: str | None) -> dict[str, Any]:
    path = RESULTS / f"{name}.json"
    options = ["--shape", shape] if shape else []
    arguments = ["bench", "density", "--quick", "--device", device, "--json", str(path), *options]
    return {"result": path.name, **_run(DENSITY_S, "-m", "codecsight", *arguments)}


def _run(limit_s: float, *arguments: str) -> dict[str, Any]:
    """Run a Python process; returns its exit status and the end of its output."""
    try:
        run = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"exit": f"timed out after {limit_s:g} s"}
    return {"exit": run.returncode, "output": (run.stdout + run.stderr)[-2000:]}


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu (no GPU)"


if __name__ == "__main__":
    main()
