"""`python -m training`: make the default checkpoint, from nothing to a folder, and measure it."""

import argparse
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from benchmarks.record import origin
from codecsight.models.calibration import FILE as CALIBRATION
from codecsight.models.calibration import write_calibration
from codecsight.models.families.qwen3_vl import qwen_prompt_format
from codecsight.models.loading import load_model
from codecsight.models.prompt import PromptLayout
from training.evaluation.calibrate import fit_calibration, with_calibration_section
from training.evaluation.real_footage import measure_real_footage
from training.evaluation.report import measure_answers, measure_descriptions
from training.network import Learner
from training.publish.card import model_card
from training.publish.export import WEIGHTS, export_checkpoint
from training.tokenizer import build_tokenizer
from training.trainer import Trainer


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", help="cpu or cuda; where there is one, the latter")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train, or go on where the run stopped")
    training.add_argument("run", type=Path, help="folder that keeps the run's state")
    exporting = commands.add_parser("export", help="write a run's checkpoint and measure it")
    exporting.add_argument("run", type=Path)
    measuring = commands.add_parser("measure", help="measure a checkpoint, and write its card anew")
    for each in (exporting, measuring):
        each.add_argument("checkpoint", type=Path)
        each.add_argument("results", type=Path)
        each.add_argument("--windows", type=int, default=200)
    calibrating = commands.add_parser("calibrate", help="fit how sure a checkpoint may be")
    calibrating.add_argument("checkpoint", type=Path)
    calibrating.add_argument("results", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.command == "calibrate":
        _calibrate(given.checkpoint, given.results)
        return
    if given.command == "measure":
        _measure(given.checkpoint, given.results, given.windows)
        return
    trainer = _trainer(given.run, given.seed, given.device)
    if given.command == "train":
        trainer.run()
    else:
        trainer.resume()
        _export(trainer, given.checkpoint, given.results, given.windows)


def layout_of(tokenizer: Any, learner: Learner) -> PromptLayout:
    """The order of the sequence, as the engine has it."""
    return PromptLayout(tokenizer, qwen_prompt_format(tokenizer, learner.network.config))


def _trainer(run: Path, seed: int, device: str | None) -> Trainer:
    """Its weights are drawn on the CPU, so that a seed means the same on every device."""
    tokenizer = build_tokenizer()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    learner = Learner.from_scratch(tokenizer, seed).to(device)
    return Trainer(learner, layout_of(tokenizer, learner), run, seed)


def _export(trainer: Trainer, checkpoint: Path, results: Path, windows: int) -> None:
    """Write the folder, then measure what was written, not what was in memory."""
    export_checkpoint(trainer.learner, build_tokenizer(), checkpoint)
    told = {
        **origin(),
        "seed": trainer.seed,
        "torch": torch.__version__,
        "weights_sha256": sha256((checkpoint / WEIGHTS).read_bytes()).hexdigest(),
        "training_seconds": round(trainer.progress.seconds),
        "curve": trainer.progress.curve,
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(told, indent=1) + "\n")
    _measure(checkpoint, results, windows)


def _measure(checkpoint: Path, results: Path, windows: int) -> None:
    """What a checkpoint can do goes to the `results` of its training and to its card."""
    learner, tokenizer = Learner.load(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    layout = layout_of(tokenizer, learner)
    told = {
        **json.loads(results.read_text()),
        "scores": measure_answers(learner, layout, windows),
        "descriptions": measure_descriptions(load_model(checkpoint), windows // 4),
        "footage": measure_real_footage(learner, layout),
    }
    results.write_text(json.dumps(told, indent=1) + "\n")
    readme, sure = model_card(told), results.with_name(CALIBRATION)
    if (checkpoint / CALIBRATION).exists() and sure.exists():
        readme = with_calibration_section(readme, json.loads(sure.read_text()))
    (checkpoint / "README.md").write_text(readme)


def _calibrate(checkpoint: Path, results: Path) -> None:
    """Write the checkpoint's `calibration.json`, its card's section, and what was found."""
    calibration, told = fit_calibration(load_model(checkpoint, "cpu"))
    write_calibration(checkpoint, calibration)
    results.write_text(json.dumps(told, indent=1) + "\n")
    readme = checkpoint / "README.md"
    if readme.exists():
        readme.write_text(with_calibration_section(readme.read_text(), told))


if __name__ == "__main__":
    main()
