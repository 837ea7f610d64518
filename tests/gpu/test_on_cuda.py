"""The engine on a GPU: the answers of the naive engine, of transformers, and of the CPU."""

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
from tests.engine.test_against_naive import POLICIES, config_of

pytestmark = pytest.mark.gpu

MakeSlot = Callable[..., Slot]
COUNT = Question("How many cars?", QuestionKind.COUNT, max_count=11)
COLOUR = Question("What colour?", QuestionKind.CHOICE, ("red", "green", "blue"))
STREAMS = "abc"


def model_on(device: str, dtype: torch.dtype = torch.float32) -> Qwen3VL:
    tokenizer = byte_tokenizer()
    network = random_network(tokenizer, 1).to(device, dtype)
    return Qwen3VL(network, tokenizer, name=f"random on {device}")


def probabilities(engine: Any, grid: PatchGrid, slot_at: MakeSlot, slots: int = 9) -> list[float]:
    """Probabilities of streams that share passes, stream by stream, in the order of their slots."""
    found: dict[str, list[float]] = {stream: [] for stream in STREAMS}
    for stream in STREAMS:
        engine.open(stream, grid)
    for second in range(slots):
        for stream in STREAMS:
            slot = slot_at(second, seed=ord(stream))
            if isinstance(engine, NaiveEngine):
                engine.push(stream, slot)
                answers = engine.ask_all(stream, [COUNT, COLOUR])
                found[stream] += [answer.probability for answer in answers]
            else:
                engine.submit(stream, slot)
                engine.submit_questions(stream, [COUNT, COLOUR])
        while engine.busy if isinstance(engine, Engine) else False:
            for done in engine.step():
                found[done.stream] += [answer.probability for answer in done.answers]
    return [probability for stream in STREAMS for probability in found[stream]]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_engine_answers_as_the_naive_engine(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot, policy: str
) -> None:
    model, config = model_on(cuda), config_of(policy)
    ours = probabilities(Engine(model, config), grid, slot_at)
    theirs = probabilities(NaiveEngine(model, config), grid, slot_at)
    assert len(ours) == 2 * 9 * len(STREAMS)
    assert ours == pytest.approx(theirs, abs=2e-3)


def test_the_engine_answers_as_on_the_cpu(cuda: str, grid: PatchGrid, slot_at: MakeSlot) -> None:
    config = EngineConfig(window=4, stride=2)
    on_cpu, on_gpu = (
        probabilities(Engine(model_on(d), config), grid, slot_at) for d in ("cpu", cuda)
    )
    assert on_cpu == pytest.approx(on_gpu, abs=2e-3)


def test_half_precision_changes_probabilities_little(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot
) -> None:
    config = EngineConfig(window=4, stride=2)
    exact = probabilities(Engine(model_on("cpu"), config), grid, slot_at)
    rounded = probabilities(Engine(model_on(cuda, torch.bfloat16), config), grid, slot_at)
    assert float(np.mean(np.abs(np.subtract(exact, rounded)))) < 0.03


def test_both_kernels_agree(
    cuda: str, grid: PatchGrid, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EngineConfig(window=4, stride=2, step_tokens=60)
    model = model_on(cuda)
    flex = probabilities(Engine(model, config), grid, slot_at)
    monkeypatch.setattr(attention, "FlexAttention", attention.LoopAttention)
    assert flex == pytest.approx(probabilities(Engine(model, config), grid, slot_at), abs=2e-3)


def test_an_unpruned_window_equals_one_forward_of_transformers(
    cuda: str, slot_at: MakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole window in one call of transformers, on the GPU."""
    model = model_on(cuda)
    grid = PatchGrid(model.grid_spec(rate=2.0, max_cells=48), rows=3, cols=4)
    slots = [slot_at(second, keep=1.0) for second in range(4)]
    engine = Engine(model, EngineConfig(window=8))
    engine.open("a", grid)
    for slot in slots:
        engine.push("a", slot)
    logits_of_calls, forward = [], model.forward_packed

    def recorded(*given: Any) -> torch.Tensor:
        logits_of_calls.append(forward(*given))
        return logits_of_calls[-1]

    monkeypatch.setattr(model, "forward_packed", recorded)
    engine.ask("a", COLOUR)
    expected = transformers_logits(model, grid, slots)
    assert torch.allclose(logits_of_calls[-1][0].cpu(), expected.cpu(), atol=2e-2)


@torch.inference_mode()
def transformers_logits(model: Qwen3VL, grid: PatchGrid, slots: list[Slot]) -> torch.Tensor:
    """Logits [vocab] after the question, from transformers."""
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
    """Weights are bfloat16 on the GPU, float32 on the CPU."""
    on_cpu, on_gpu = (load_model(DEFAULT_MODEL, device) for device in ("cpu", cuda))
    config = EngineConfig(window=4, stride=2)
    exact, rounded = (probabilities(Engine(m, config), grid, slot_at) for m in (on_cpu, on_gpu))
    assert float(np.mean(np.abs(np.subtract(exact, rounded)))) < 0.05
