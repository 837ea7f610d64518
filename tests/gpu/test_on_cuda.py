"""The engine on a real GPU: the same answers as its twin, as transformers, and as on the CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from codecsight.core.grid import PatchGrid
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.attention import kernels as attention
from codecsight.engine.naive.engine import NaiveEngine
from codecsight.models.families.qwen3_vl import Qwen3VL
from codecsight.models.folder import DEFAULT_MODEL
from codecsight.models.loading import load_model
from codecsight.models.tiny import byte_tokenizer, random_network
from tests.engine.test_twins import POLICIES, config_of

pytestmark = pytest.mark.gpu

MakeSlot = Callable[..., Slot]
COUNT = Question("How many cars?", QuestionKind.COUNT, max_count=11)
COLOUR = Question("What colour?", QuestionKind.CHOICE, ("red", "green", "blue"))
STREAMS = "abc"


def model_on(device: str, dtype: torch.dtype = torch.float32) -> Qwen3VL:
    tokenizer = byte_tokenizer()
    network = random_network(tokenizer, 1).to(device, dtype)
    return Qwen3VL(network, tokenizer, name=f"random on {device}")


def chances(engine: Any, grid: PatchGrid, slot_at: MakeSlot, slots: int = 9) -> list[float]:
    """What streams that share passes say, stream by stream in the order of their slots."""
    said: dict[str, list[float]] = {stream: [] for stream in STREAMS}
    for stream in STREAMS:
        engine.open(stream, grid)
    for second in range(slots):
        for stream in STREAMS:
            slot = slot_at(second, seed=ord(stream))
            if isinstance(engine, NaiveEngine):
                engine.push(stream, slot)
                found = engine.ask_all(stream, [COUNT, COLOUR])
                said[stream] += [answer.probability for answer in found]
            else:
                engine.submit(stream, slot)
                engine.submit_questions(stream, [COUNT, COLOUR])
        while engine.busy if isinstance(engine, Engine) else False:
            for done in engine.step():
                said[done.stream] += [answer.probability for answer in done.answers]
    return [chance for stream in STREAMS for chance in said[stream]]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_engine_says_what_its_twin_says(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot, policy: str
) -> None:
    model, config = model_on(cuda), config_of(policy)
    ours = chances(Engine(model, config), grid, slot_at)
    theirs = chances(NaiveEngine(model, config), grid, slot_at)
    assert len(ours) == 2 * 9 * len(STREAMS)
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_the_engine_says_what_it_says_on_the_cpu(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    config = EngineConfig(window=4, stride=2)
    here, there = (chances(Engine(model_on(d), config), grid, slot_at) for d in ("cpu", cuda))
    assert here == pytest.approx(there, abs=2e-3)


def test_half_precision_moves_chances_a_little(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    config = EngineConfig(window=4, stride=2)
    exact = chances(Engine(model_on("cpu"), config), grid, slot_at)
    rounded = chances(Engine(model_on(cuda, torch.bfloat16), config), grid, slot_at)
    assert float(np.mean(np.abs(np.subtract(exact, rounded)))) < 0.03


def test_both_kernels_agree(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EngineConfig(window=4, stride=2, step_tokens=60)
    model = model_on(cuda)
    flex = chances(Engine(model, config), grid, slot_at)
    monkeypatch.setattr(attention, "FlexAttention", attention.LoopAttention)
    assert flex == pytest.approx(chances(Engine(model, config), grid, slot_at), abs=2e-3)


def test_a_window_that_prunes_nothing_is_transformers_own_forward(
    cuda: str, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole window in one call of transformers, on the device."""
    model = model_on(cuda)
    grid = PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)
    slots = [slot_at(second, keep=1.0) for second in range(4)]
    engine = Engine(model, EngineConfig(window=8))
    engine.open("a", grid)
    for slot in slots:
        engine.push("a", slot)
    heard, forward = [], model.forward_packed

    def listening(*given: Any) -> torch.Tensor:
        heard.append(forward(*given))
        return heard[-1]

    monkeypatch.setattr(model, "forward_packed", listening)
    engine.ask("a", COLOUR)
    wanted = plain(model, grid, slots)
    assert torch.allclose(heard[-1][0].cpu(), wanted.cpu(), atol=2e-2)


@torch.inference_mode()
def plain(model: Qwen3VL, grid: PatchGrid, slots: list[Slot]) -> torch.Tensor:
    """Logits [vocab] after the question, from transformers alone."""
    config, device = model.network.config, model.kv.device
    cells = "<|vision_start|>" + "<|video_pad|>" * grid.cells + "<|vision_end|>"
    stamps = [f"<{sum(slot.times) / len(slot.times):.1f} seconds>" for slot in slots]
    text = "<|im_start|>user\n" + "".join(stamp + cells for stamp in stamps)
    text += f"{COLOUR.text}<|im_end|>\n<|im_start|>assistant\n"
    asked = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([asked], device=device)
    patches = torch.from_numpy(np.concatenate([slot.patches for slot in slots]))
    shape = [len(slots), grid.rows * model.merge, grid.cols * model.merge]
    logits: torch.Tensor = model.network(
        input_ids=ids,
        pixel_values_videos=model.patchify(patches),
        video_grid_thw=torch.tensor([shape], device=device),
        mm_token_type_ids=(ids == config.video_token_id).int() * 2,
    ).logits
    return logits[0, -1]


def test_the_default_checkpoint_answers_as_on_the_cpu(
    cuda: str, slot_at: MakeSlot, grid: PatchGrid
) -> None:
    """Weights in bfloat16 there, in float32 here."""
    here, there = (load_model(DEFAULT_MODEL, device) for device in ("cpu", cuda))
    config = EngineConfig(window=4, stride=2)
    exact, rounded = (chances(Engine(m, config), grid, slot_at) for m in (here, there))
    assert float(np.mean(np.abs(np.subtract(exact, rounded)))) < 0.05
