"""Train, export, measure and calibrate the default checkpoint."""

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
    """Parse the command line and run the command."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", help="cpu or cuda; default: cuda if available")
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train, or resume a stopped run")
    training.add_argument("run", type=Path, help="folder with the run's state")
    exporting = commands.add_parser("export", help="export a run's checkpoint and measure it")
    exporting.add_argument("run", type=Path)
    measuring = commands.add_parser(
        "measure", help="measure a checkpoint and rewrite its model card"
    )
    for each in (exporting, measuring):
        each.add_argument("checkpoint", type=Path)
        each.add_argument("results", type=Path)
        each.add_argument("--windows", type=int, default=200)
    calibrating = commands.add_parser(
        "calibrate", help="fit a checkpoint's calibration temperatures"
    )
    calibrating.add_argument("checkpoint", type=Path)
    calibrating.add_argument("results", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.command == "calibrate":
        _calibrate(args.checkpoint, args.results)
        return
    if args.command == "measure":
        _measure(args.checkpoint, args.results, args.windows)
        return
    trainer = _trainer(args.run, args.seed, args.device)
    if args.command == "train":
        trainer.run()
    else:
        trainer.resume()
        _export(trainer, args.checkpoint, args.results, args.windows)


def layout_of(tokenizer: Any, learner: Learner) -> PromptLayout:
    """The prompt layout that the engine uses."""
    return PromptLayout(tokenizer, qwen_prompt_format(tokenizer, learner.network.config))


def _trainer(run: Path, seed: int, device: str | None) -> Trainer:
    """The trainer of a run. Weights are drawn on the CPU: a seed gives the same on any device."""
    tokenizer = build_tokenizer()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    learner = Learner.from_scratch(tokenizer, seed).to(device)
    return Trainer(learner, layout_of(tokenizer, learner), run, seed)


def _export(trainer: Trainer, checkpoint: Path, results: Path, windows: int) -> None:
    """Write the checkpoint folder, then measure the written checkpoint, not the one in memory."""
    export_checkpoint(trainer.learner, build_tokenizer(), checkpoint)
    record = {
        **origin(),
        "seed": trainer.seed,
        "torch": torch.__version__,
        "weights_sha256": sha256((checkpoint / WEIGHTS).read_bytes()).hexdigest(),
        "training_seconds": round(trainer.progress.seconds),
        "curve": trainer.progress.curve,
    }
    results.parent.mkdir(parents=True, exist_ok=True)
    results.write_text(json.dumps(record, indent=1) + "\n")
    _measure(checkpoint, results, windows)


def _measure(checkpoint: Path, results: Path, windows: int) -> None:
    """Add the measurements to the training's results file, and rewrite the model card."""
    learner, tokenizer = Learner.load(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    layout = layout_of(tokenizer, learner)
    measured = {
        **json.loads(results.read_text()),
        "scores": measure_answers(learner, layout, windows),
        "descriptions": measure_descriptions(load_model(checkpoint), windows // 4),
        "footage": measure_real_footage(learner, layout),
    }
    results.write_text(json.dumps(measured, indent=1) + "\n")
    readme, calibration = model_card(measured), results.with_name(CALIBRATION)
    if (checkpoint / CALIBRATION).exists() and calibration.exists():
        readme = with_calibration_section(readme, json.loads(calibration.read_text()))
    (checkpoint / "README.md").write_text(readme)


def _calibrate(checkpoint: Path, results: Path) -> None:
    """Write the checkpoint's `calibration.json`, its model card's section, and the results file."""
    calibration, measured = fit_calibration(load_model(checkpoint, "cpu"))
    write_calibration(checkpoint, calibration)
    results.write_text(json.dumps(measured, indent=1) + "\n")
    readme = checkpoint / "README.md"
    if readme.exists():
        readme.write_text(with_calibration_section(readme.read_text(), measured))


if __name__ == "__main__":
    main()
