"""`python -m training FOLDER`: make the default checkpoint, from nothing to a folder."""

import argparse
from pathlib import Path

import torch

from codecsight.models.prompt import PromptLayout
from training.network import Learner
from training.stages import Trainer
from training.tokenizer import build_tokenizer


def main() -> None:
    """Train, or go on with, the run kept in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the run keeps its state")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    tokenizer = build_tokenizer()
    learner = Learner.fresh(tokenizer, given.seed)
    Trainer(learner, layout_of(tokenizer, learner), given.folder, given.seed).run()


def layout_of(tokenizer: object, learner: Learner) -> PromptLayout:
    """The order of the sequence, as the engine has it."""
    config = learner.network.config
    return PromptLayout(
        tokenizer,
        config.vision_start_token_id,
        config.video_token_id,
        config.vision_end_token_id,
    )


if __name__ == "__main__":
    main()
