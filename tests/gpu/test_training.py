"""Training on a device: the same losses, with every tensor on the device where it is used."""

import random

import pytest
import torch

from tests.gpu.fake_device import DEVICE, FakeDevice
from training.__main__ import layout_of
from training.data.clips import draw_clips
from training.data.packing import Batch, Packer
from training.network import Learner
from training.tokenizer import build_tokenizer

GRID = (5, 9)


@pytest.fixture(scope="module")
def learner() -> Learner:
    return Learner.from_scratch(build_tokenizer(), seed=3).eval()


@pytest.fixture(scope="module")
def batch(learner: Learner) -> Batch:
    layout = layout_of(build_tokenizer(), learner)
    return Packer(layout, GRID, max_questions=3).pack(
        draw_clips(random.Random(5), 2, 3, GRID), random.Random(1)
    )


def losses(learner: Learner, batch: Batch) -> list[float]:
    """The losses of cells and of answers."""
    embeddings, deepstack = learner.encode_images(batch)
    logits, true = learner.answer_logits(embeddings, deepstack, batch)
    answers = torch.nn.functional.cross_entropy(logits, true)
    return [loss.item() for loss in (learner.dense_loss(embeddings, batch), answers)]


def test_every_tensor_of_a_training_batch_is_on_the_device_where_it_is_used(batch: Batch) -> None:
    learner = Learner.from_scratch(build_tokenizer(), seed=3).eval()
    with torch.inference_mode():
        on_cpu = losses(learner, batch)
        with FakeDevice() as device:
            device.move(vars(learner.network).values())
            device.move([*learner.parameters(), *learner.buffers()])
            on_device = losses(learner, batch.to(DEVICE))
    assert on_device == pytest.approx(on_cpu, rel=1e-4)


@pytest.mark.gpu
def test_a_batch_costs_the_same_loss_on_a_gpu(cuda: str, learner: Learner, batch: Batch) -> None:
    on_cpu = losses(learner, batch)
    with torch.autocast(cuda, dtype=torch.bfloat16):
        on_device = losses(learner.to(cuda), batch.to(torch.device(cuda)))
    learner.to("cpu")
    assert on_device == pytest.approx(on_cpu, rel=0.03)
