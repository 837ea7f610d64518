"""The training loop: one stage after another, resumable at any moment."""

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

_SAVE_EVERY_S, _MEASURES, _MEASURED = 120.0, 6, 128


@dataclass
class Progress:
    """How far training has come: windows and batches of the running stage, seconds spent on all
    stages, and what was measured on the way.
    """

    stage: int = 0
    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)

    def share(self, stage: Stage) -> float:
        """How much of the running stage is done."""
        return stage.share(self.samples)


class Trainer:
    """Brings a learner through the stages, keeping its state in `folder` as it goes."""

    def __init__(self, learner: Learner, layout: PromptLayout, folder: Path, seed: int) -> None:
        self.learner, self._layout, self._folder, self.seed = learner, layout, folder, seed
        self.progress = Progress()
        self._losses: list[float] = []
        folder.mkdir(parents=True, exist_ok=True)

    def run(self) -> None:
        """All stages, from where the last run stopped."""
        optimizer_state = self.resume()
        while self.progress.stage < len(STAGES):
            stage = STAGES[self.progress.stage]
            optimizer = _optimizer(self.learner, stage)
            if optimizer_state is not None:
                optimizer.load_state_dict(optimizer_state)
            self._stage(stage, optimizer)
            done = self.progress
            done.stage, done.step, done.samples = done.stage + 1, 0, 0
            optimizer_state = None
            self._save(None)

    def _stage(self, stage: Stage, optimizer: torch.optim.Optimizer) -> None:
        began = saved = time.monotonic()
        for batch in batch_stream(self._layout, stage, self.progress.step, self.seed):
            measured = int(_MEASURES * self.progress.share(stage))
            self._losses.append(self._learn(batch, optimizer, stage))
            now = time.monotonic()
            self.progress.seconds += now - began
            began = now
            if int(_MEASURES * self.progress.share(stage)) > measured:
                self._measure(stage)
                began = time.monotonic()
            if now - saved > _SAVE_EVERY_S:
                self._save(optimizer)
                saved = now
            if self.progress.share(stage) >= 1:
                return

    def _learn(self, batch: Batch, optimizer: torch.optim.Optimizer, stage: Stage) -> float:
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * _warmed(self.progress, stage)
        place = self.learner.device
        with torch.autocast(place.type, dtype=torch.bfloat16):
            loss = self._loss(batch.to(place), stage)
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
        """Note the loss and, once questions are learnt, the accuracy on held-out windows."""
        slots = 1 if set(stage.lengths) == {1} else 4
        told: dict[str, Any] = {
            "stage": stage.name,
            "samples": self.progress.samples,
            "seconds": round(self.progress.seconds),
            "loss": round(sum(self._losses) / len(self._losses), 4),
        }
        if stage.answers:
            clips = held_out_clips(_MEASURED, slots, (6, 8))
            found = score_clips(self.learner, self._layout, clips, (6, 8))
            told["accuracy"] = {topic: round(score.accuracy, 3) for topic, score in found.items()}
        self._losses.clear()
        self.progress.curve.append(told)
        print(json.dumps(told), flush=True)

    def _save(self, optimizer: torch.optim.Optimizer | None) -> None:
        state = {
            "learner": self.learner.state_dict(),
            "optimizer": optimizer.state_dict() if optimizer else None,
            "progress": asdict(self.progress),
        }
        torch.save(state, self._folder / "state.new")
        (self._folder / "state.new").replace(self._folder / "state.pt")
        _trim()

    def resume(self) -> dict[str, Any] | None:
        """Take up the state kept in the folder, if any; gives the optimizer's."""
        path = self._folder / "state.pt"
        if not path.exists():
            return None
        state = torch.load(path, weights_only=True, map_location=self.learner.device)
        self.learner.load_state_dict(state["learner"])
        self.progress = Progress(**state["progress"])
        optimizer: dict[str, Any] | None = state["optimizer"]
        return optimizer


def _trim() -> None:
    """Hand freed memory back. Batches differ in shape, so freed blocks seldom fit again: left to
    itself glibc grows by some 200 MB a minute.
    """
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _optimizer(learner: Learner, stage: Stage) -> torch.optim.Optimizer:
    """AdamW, with the vision tower at its own rate. What carries its deepstack features over is
    first trained with the language model, so it belongs to that.
    """
    vision: list[Tensor] = []
    rest: list[Tensor] = []
    for name, weight in learner.named_parameters():
        tower = ".visual." in name and "deepstack" not in name
        weight.requires_grad_(stage.vision_rate > 0 or not tower)
        (vision if tower else rest).append(weight)
    groups: list[dict[str, Any]] = [{"params": rest, "base": stage.rate}]
    if stage.vision_rate:
        groups.append({"params": vision, "base": stage.rate * stage.vision_rate})
    return torch.optim.AdamW(groups, lr=stage.rate, betas=(0.9, 0.98), weight_decay=0.02)


def _warmed(progress: Progress, stage: Stage) -> float:
    """Linear warm-up, then half a cosine down to 3%."""
    cosine = 0.03 + 0.97 * (1 + math.cos(math.pi * progress.share(stage))) / 2
    return cosine * min(1.0, (progress.step + 1) / stage.warmup)
