"""`python -m benchmarks.gpu`: all that needs a GPU, in under eight minutes on one that is new.

The tests marked `gpu`, the density benchmark with the default checkpoint and with random weights in
the shape of a larger model, and the two kernels of attention side by side. Each part may take so
long and no longer; what it found is written at once, so that a part that hangs costs no other.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
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
    """Run every part and keep `results/gpu.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="cpu tries the script itself")
    parser.add_argument("--shape", default=SHAPE, help="of the larger model")
    device, shape = (given := parser.parse_args()).device, given.shape
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here; --device cpu tries the script")
    found: dict[str, Any] = {"device": _name(device), "torch": torch.__version__}
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "kernels": lambda: kernels(device),
        "tests": lambda: _run(TESTS_S, "-m", "pytest", "-m", "gpu", "tests/gpu", "-q"),
        "density": lambda: _density("density-gpu", device, None),
        "density, larger": lambda: _density(f"density-gpu-{shape}", device, shape),
    }
    for name, part in parts.items():
        started = time.perf_counter()
        try:
            found[name] = part()
        except Exception as error:  # noqa: BLE001 - told, and the other parts go on
            found[name] = {"error": f"{type(error).__name__}: {error}"}
        found[name]["seconds"] = round(time.perf_counter() - started, 1)
        print(record("gpu", found), name, found[name], flush=True)


def kernels(device: str) -> dict[str, Any]:
    """Milliseconds per layer of either kernel for so many runs: half of them slots of 40 tokens,
    half questions of 12, over windows of 250 to 350.
    """
    return {f"{runs} runs": _kernels(device, runs) for runs in (4, 16, 64)}


def _kernels(device: str, count: int) -> dict[str, float]:
    tokenizer = byte_tokenizer()
    model = Qwen3VL(random_network(tokenizer, 1).to(device), tokenizer, name="random")
    pool = KVPool(model.kv, count * 24)
    random = np.random.default_rng(count)
    runs, start = [], 0
    for number in range(count):
        keys, own = int(random.integers(250, 350)), (40, 12)[number % 2]
        rows = np.arange(start, start + keys)
        at = np.arange(keys - own, keys)
        words = Tokens.text([1] * own)
        runs.append(
            PackedSegment(
                words, model.no_cells(), rows[-own:], at, AttentionSpan.causal(rows), (own - 1,)
            )
        )
        start += keys
    tokens = sum(len(run.tokens) for run in runs)
    heads, width = model.kv.heads, model.kv.head_dim
    query = torch.randn(tokens, 2 * heads, width, device=device)
    key, value = (torch.randn(tokens, heads, width, device=device) for _ in range(2))
    told = {}
    for kernel in (LoopAttention, FlexAttention):
        with torch.inference_mode():
            attend = kernel(model, pool, runs, KVCopies.join([]))
            told[kernel.__name__] = _timed(lambda: attend(0, query, key, value, False), device)  # noqa: B023
    return told


def _timed(call: Callable[[], object], device: str, times: int = 20) -> float:
    """Milliseconds, once warm."""
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
    more = ["--shape", shape] if shape else []
    arguments = ["bench", "density", "--quick", "--device", device, "--json", str(path), *more]
    return {"result": path.name, **_run(DENSITY_S, "-m", "codecsight", *arguments)}


def _run(limit_s: float, *arguments: str) -> dict[str, Any]:
    """A Python process of its own; how it ended, and its last words."""
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
        return {"ended": f"not within {limit_s:g} s"}
    return {"ended": run.returncode, "said": (run.stdout + run.stderr)[-2000:]}


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "cpu, to try the script"


if __name__ == "__main__":
    main()
