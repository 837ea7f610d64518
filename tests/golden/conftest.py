"""Models, their references, and synthetic streams."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from torch import Tensor

from codecsight.core.grid import PatchGrid
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.folder import DEFAULT_MODEL
from codecsight.models.loading import load_model
from codecsight.models.tiny import random_model
from tests.golden.transformers_reference import TransformersReference, UnprunedSlot


@pytest.fixture(scope="session", params=["random", "default"])
def model(request: pytest.FixtureRequest) -> Qwen3VL:
    if request.param == "random":
        return random_model(seed=3)
    if not DEFAULT_MODEL.is_dir():
        pytest.skip("the default checkpoint is missing")
    return load_model(DEFAULT_MODEL, device="cpu")


@pytest.fixture(scope="session")
def reference(model: Qwen3VL) -> TransformersReference:
    return TransformersReference(model)


@pytest.fixture(scope="session")
def grid(model: Qwen3VL) -> PatchGrid:
    return PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)


MakeStream = Callable[..., list[UnprunedSlot]]


@pytest.fixture(scope="session")
def make_stream(grid: PatchGrid) -> MakeStream:
    """Make a stream of noise: the first slot keeps all cells, the others a share `keep` of them."""

    def make(
        slots: int, keep: float = 1.0, seed: int = 0, start: float = 0.0
    ) -> list[UnprunedSlot]:
        random = np.random.default_rng(seed)
        frames = grid.spec.frames
        stream = []
        for index in range(slots):
            shape = (frames, 3, grid.height, grid.width)
            kept = random.random((grid.rows, grid.cols)) < (keep if index else 1.0)
            times = tuple(start + index + step / 2 for step in range(frames))
            stream.append(UnprunedSlot(times, random.integers(0, 256, shape, dtype=np.uint8), kept))
        return stream

    return make


class LogitsRecorder:
    """Records the logits of the model's last call."""

    def __init__(self, model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> None:
        def recording(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
            def record(*args: object, **kwargs: object) -> Tensor:
                self.logits = forward(*args, **kwargs)
                return self.logits

            return record

        monkeypatch.setattr(model, "forward", recording(model.forward))
        monkeypatch.setattr(model, "forward_packed", recording(model.forward_packed))


@pytest.fixture
def recorder(model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogitsRecorder]:
    return LogitsRecorder(model, monkeypatch)
