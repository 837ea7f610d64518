"""Training loop over the stages of the recipe; resumable at any time."""

import ctypes
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from codecsight.models.prompt import PromptLayout
from training.data.batches import batch_stream
from training.data.packing import Batch
from training.evaluation.scoring import held_out_clips, score_clips
from training.network import Learner
from training.recipe import STAGES, Stage

# Measurements per stage, and held-out windows per measurement.
_MEASUREMENTS, _MEASURED_WINDOWS = 6, 128
_SAVE_EVERY_S = 120.0


@dataclass
class Progress:
    """Progress of a run: batches (`step`) and windows (`samples`) of the current stage.

    `seconds` is the training time of all stages, `curve` the measurements so far.
    """

    stage: int = 0
    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)

    def share(self, stage: Stage) -> float:
        """Completed share of the current stage."""
        return stage.share(self.samples)


class Trainer:
    """Trains a learner through all stages and saves its state regularly to `folder`."""

    def __init__(self, learner: Learner, layout: PromptLayout, folder: Path, seed: int) -> None:
        self.learner, self._layout, self._folder, self.seed = learner, layout, folder, seed
        self.progress = Progress()
        self._losses: list[float] = []
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """Train all stages, resuming where the last run stopped."""
        optimizer_state = self.resume()
        while self.progress.stage < len(STAGES):
            stage = STAGES[self.progress.stage]
            optimizer = _optimizer(self.learner, stage)
            if optimizer_state is not None:
                optimizer.load_state_dict(optimizer_state)
            self._stage(stage, optimizer)
            progress = self.progress
            progress.stage, progress.step, progress.samples = progress.stage + 1, 0, 0
            optimizer_state = None
            self._save(None)

    def _stage(self, stage: Stage, optimizer: torch.optim.Optimizer) -> None:
        started = saved = time.monotonic()
        for batch in batch_stream(self._layout, stage, self.progress.step, self.seed):
            measured = int(_MEASUREMENTS * self.progress.share(stage))
            self._losses.append(self._train_step(batch, optimizer, stage))
            now = time.monotonic()
            self.progress.seconds += now - started
            started = now
            if int(_MEASUREMENTS * self.progress.share(stage)) > measured:
                self._measure(stage)
                started = time.monotonic()  # measuring does not count as training time
            if now - saved > _SAVE_EVERY_S:
                self._save(optimizer)
                saved = now
            if self.progress.share(stage) >= 1:
                return

    def _train_step(self, batch: Batch, optimizer: torch.optim.Optimizer, stage: Stage) -> float:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * _learning_rate_factor(self.progress, stage)
        device = self.learner.device
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = self._loss(batch.to(device), stage)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        optimizer.step()
        self.progress.step += 1
        self.progress.samples += len(batch.ids)
        return loss.item()

    def _loss(self, batch: Batch, stage: Stage) -> Tensor:
        embeddings, deepstack = self.learner.encode_images(batch)
        loss = torch.zeros((), device=self.learner.device)
        if stage.dense:
            loss = loss + stage.dense * self.learner.dense_loss(embeddings, batch)
        if stage.answers:
            logits, true = self.learner.answer_logits(embeddings, deepstack, batch)
            loss = loss + stage.answers * cross_entropy(logits, true)
        return loss

    def _measure(self, stage: Stage) -> None:
        """Record the loss and, in stages with questions, the accuracy on held-out windows."""
        slots = 1 if set(stage.lengths) == {1} else 4
        measured: dict[str, Any] = {
            "stage": stage.name,
            "samples": self.progress.samples,
            "seconds": round(self.progress.seconds),
            "loss": round(sum(self._losses) / len(self._losses), 4),
        }
        if stage.answers:
            clips = held_out_clips(_MEASURED_WINDOWS, slots, (6, 8))
            scores = score_clips(self.learner, self._layout, clips, (6, 8))
            measured["accuracy"] = {
                topic: round(score.accuracy, 3) for topic, score in scores.items()
            }
        self._losses.clear()
        self.progress.curve.append(measured)
        print(json.dumps(measured), flush=True)

    def _save(self, optimizer: torch.optim.Optimizer | None) -> None:
        state = {
            "learner": self.learner.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer else None,
            "progress": asdict(self.progress),
        }
        # Written to another file first, so that an interrupted save keeps the last state.
        torch.save(state, self._folder / "state.new")
        (self._folder / "state.new").replace(self._folder / "state.pt")
        _trim()

    def resume(self) -> dict[str, Any] | None:
        """Load the state saved in the folder, if any. Returns the optimizer's state."""
        path = self._folder / "state.pt"
        if not path.exists():
            return None
        state = torch.load(path, weights_only=True, map_location=self.learner.device)
        self.learner.load_state_dict(state["learner"])
        self.progress = Progress(**state["progress"])
        optimizer: dict[str, Any] | None = state["optimizer"]
        return optimizer


def _trim() -> None:
    """Return freed memory to the operating system.

    Batches differ in shape, so glibc seldom reuses freed blocks: without this the process grows by
    about 200 MB per minute.
    """
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _optimizer(learner: Learner, stage: Stage) -> torch.optim.Optimizer:
    """AdamW, with a separate learning rate for the vision tower.

    The deepstack mergers count as part of the language model, with which they are first trained.
    """
    vision: list[Tensor] = []
    rest: list[Tensor] = []
    for name, weight in learner.named_parameters():
        is_vision = ".visual." in name and "deepstack" not in name
        weight.requires_grad_(stage.vision_rate > 0 or not is_vision)
        (vision if is_vision else rest).append(weight)
    groups: list[dict[str, Any]] = [{"params": rest, "base": stage.rate}]
    if stage.vision_rate:
        groups.append({"params": vision, "base": stage.rate * stage.vision_rate})
    return torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98), weight_decay=0.02)


def _learning_rate_factor(progress: Progress, stage: Stage) -> float:
    """Factor on the learning rate: linear warm-up, and a cosine decay to 3%."""
    cosine = 0.03 + 0.97 * (1 + math.cos(math.pi * progress.share(stage))) / 2
    return cosine * min(1.0, (progress.step + 1) / stage.warmup)
