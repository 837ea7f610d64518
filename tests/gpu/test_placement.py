"""Where every tensor of the hot path lies, proved without a GPU (see `elsewhere`)."""

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
    """Counted here: it counts in a mode of its own, which knows no device that is none."""
    return FlopMeter(random_model(seed=1))


@pytest.fixture
def away() -> Iterator[FakeDevice]:
    with torch.inference_mode(), FakeDevice() as away:
        yield away


@pytest.fixture
def model(away: FakeDevice) -> Qwen3VL:
    """Its weights and tables lie there; words and positions here."""
    model = random_model(seed=1)
    away.place(value for key, value in vars(model).items() if key not in ("layout", "tokenizer"))
    model.kv = replace(model.kv, device=DEVICE)
    model.__dict__.pop("_no_cells", None)
    return model


def written_out(query: Tensor, key: Tensor, value: Tensor, block_mask: Any, **_: Any) -> Tensor:
    """What the compiled kernel computes, in operations that can be watched."""
    q, k = (torch.arange(each.shape[2], device=DEVICE) for each in (query, key))
    seen = block_mask.seen(None, None, q[:, None], k[None])
    return scaled_dot_product_attention(query, key, value, attn_mask=seen, enable_gqa=True)


@pytest.mark.parametrize("kernel", ["loop", "flex"])
@pytest.mark.parametrize("present", [QueryView.LATEST_FEATURES, QueryView.REROTATED])
def test_every_tensor_is_where_it_is_needed(
    meter: FlopMeter,
    model: Qwen3VL,
    away: FakeDevice,
    slot_at: Callable[..., Slot],
    monkeypatch: pytest.MonkeyPatch,
    kernel: str,
    present: QueryView,
) -> None:
    monkeypatch.setattr(engines, "FlopMeter", lambda _: meter)
    if kernel == "flex":
        monkeypatch.setattr(attention, "LoopAttention", attention.FlexAttention)
        monkeypatch.setattr(attention, "_flex", lambda _: written_out)
        monkeypatch.setattr(
            flex_attention, "create_block_mask", lambda seen, *_, **__: SimpleNamespace(seen=seen)
        )
    config = EngineConfig(
        window=3,
        stride=1,
        refresh="first:1",
        query_view=present,
        eviction=EvictionPolicy.SUPERSEDED,
        step_tokens=60,
        rebase_at=200,
        max_answer_tokens=3,
    )
    engine = Engine(model, config)
    assert away.there(engine._pool.keys)
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
    assert away.there(engine._sessions["a"].latest_features.features.embeddings)


def test_the_device_that_is_none_refuses_what_a_gpu_would(away: FakeDevice) -> None:
    here, there = torch.ones(3), torch.ones(3, device=DEVICE)
    assert away.there(there + 1)
    assert away.there(here.to(DEVICE))
    assert not away.there(there.cpu())
    assert away.there(there[torch.tensor([0, 1])])  # indices may come from here
    with pytest.raises(DeviceMismatch):
        here + there
    with pytest.raises(DeviceMismatch):
        there.index_select(0, torch.tensor([0]))
    with pytest.raises(DeviceMismatch):
        here[there.long()]


def test_half_precision_holds_from_pixels_to_words(slot_at: Callable[..., Slot]) -> None:
    """The numbers of a GPU, computed here: nothing mixes them with wider ones."""
    tokenizer = byte_tokenizer()
    said = []
    for dtype in (torch.float32, torch.bfloat16):
        network = random_network(tokenizer, 1).to(dtype)
        model = Qwen3VL(network, tokenizer, name=str(dtype))
        engine = Engine(model, EngineConfig(window=3, stride=1, max_answer_tokens=3))
        assert engine._pool.keys.dtype == dtype
        engine.open("a", PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4))
        for second in range(5):
            engine.push("a", slot_at(second))
        said.append([answer.probability for answer in engine.ask_all("a", QUESTIONS)])
    assert said[0][0] == pytest.approx(said[1][0], abs=0.05)
