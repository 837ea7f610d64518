"""The device of every tensor on the hot path, tested without a GPU (see `fake_device`)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import Engine, EngineConfig, EvictionPolicy, QueryView
from codecsight.engine import engine as engines
from codecsight.engine.attention import kernels as attention
from codecsight.engine.resources.flops import FlopMeter
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.tiny import byte_tokenizer, random_model, random_network
from tests.gpu.fake_device import DEVICE, DeviceMismatch, FakeDevice

QUESTIONS = [
    Question("How many cars?", QuestionKind.COUNT, max_count=11),
    Question("What is there?", QuestionKind.TEXT),
    Question.with_schema(
        "And who?", {"type": "object", "properties": {"who": {"enum": ["a", "b"]}}}
    ),
]


@pytest.fixture(scope="module")
def meter() -> FlopMeter:
    """Counted on the CPU: torch counts in a mode that does not work with the fake device."""
    return FlopMeter(random_model(seed=1))


@pytest.fixture
def device() -> Iterator[FakeDevice]:
    with torch.inference_mode(), FakeDevice() as device:
        yield device


@pytest.fixture
def model(device: FakeDevice) -> Qwen3VL:
    """A model with weights and tables on the device, token ids and positions on the CPU."""
    model = random_model(seed=1)
    device.move(value for key, value in vars(model).items() if key not in ("layout", "tokenizer"))
    model.kv = replace(model.kv, device=DEVICE)
    model.__dict__.pop("_no_cells", None)
    return model


def reference_kernel(
    query: Tensor, key: Tensor, value: Tensor, block_mask: Any, **_: Any
) -> Tensor:
    """The compiled kernel as plain operations, which can be checked."""
    q, k = (torch.arange(each.shape[2], device=DEVICE) for each in (query, key))
    visible = block_mask.visible(None, None, q[:, None], k[None])
    return scaled_dot_product_attention(query, key, value, attn_mask=visible, enable_gqa=True)


@pytest.mark.parametrize("kernel", ["loop", "flex"])
@pytest.mark.parametrize("query_view", [QueryView.LATEST_FEATURES, QueryView.REROTATED])
def test_every_tensor_is_on_the_device_where_it_is_used(
    meter: FlopMeter,
    model: Qwen3VL,
    device: FakeDevice,
    slot_at: Callable[..., Slot],
    monkeypatch: pytest.MonkeyPatch,
    kernel: str,
    query_view: QueryView,
) -> None:
    monkeypatch.setattr(engines, "FlopMeter", lambda _: meter)
    if kernel == "flex":
        monkeypatch.setattr(attention, "LoopAttention", attention.FlexAttention)
        monkeypatch.setattr(attention, "_flex", lambda _: reference_kernel)
        monkeypatch.setattr(
            flex_attention,
            "create_block_mask",
            lambda visible, *_, **__: SimpleNamespace(visible=visible),
        )
    config = EngineConfig(
        window=3,
        stride=1,
        refresh="first:1",
        query_view=query_view,
        eviction=EvictionPolicy.SUPERSEDED,
        step_tokens=60,
        rebase_at=200,
        max_answer_tokens=3,
    )
    engine = Engine(model, config)
    assert device.holds(engine._pool.keys)
    grid = PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)
    for stream in "ab":
        engine.open(stream, grid)
    answers = []
    for second in range(5):
        for stream in "ab":
            engine.submit(stream, slot_at(second, seed=ord(stream)), QUESTIONS)
        while engine.busy:
            answers += [answer for done in engine.step() for answer in done.answers]
    assert len(answers) >= 15
    assert device.holds(engine._sessions["a"].latest_features.features.embeddings)


def test_the_fake_device_rejects_what_a_gpu_would(device: FakeDevice) -> None:
    on_cpu, on_device = torch.ones(3), torch.ones(3, device=DEVICE)
    assert device.holds(on_device + 1)
    assert device.holds(on_cpu.to(DEVICE))
    assert not device.holds(on_device.cpu())
    assert device.holds(on_device[torch.tensor([0, 1])])  # indices may be on the CPU
    with pytest.raises(DeviceMismatch):
        on_cpu + on_device
    with pytest.raises(DeviceMismatch):
        on_device.index_select(0, torch.tensor([0]))
    with pytest.raises(DeviceMismatch):
        on_cpu[on_device.long()]


def test_half_precision_is_kept_from_pixels_to_logits(slot_at: Callable[..., Slot]) -> None:
    """In bfloat16, as on a GPU: no operation mixes it with a wider type."""
    tokenizer = byte_tokenizer()
    probabilities = []
    for dtype in (torch.float32, torch.bfloat16):
        network = random_network(tokenizer, 1).to(dtype)
        model = Qwen3VL(network, tokenizer, name=str(dtype))
        engine = Engine(model, EngineConfig(window=3, stride=1, max_answer_tokens=3))
        assert engine._pool.keys.dtype == dtype
        engine.open("a", PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4))
        for second in range(5):
            engine.push("a", slot_at(second))
        probabilities.append([answer.probability for answer in engine.ask_all("a", QUESTIONS)])
    assert probabilities[0][0] == pytest.approx(probabilities[1][0], abs=0.05)
