"""All hyperparameters: model shape, window distribution and training stages.

The stages' names are part of the random seeds: another name draws other windows.
"""

from dataclasses import dataclass
from typing import Any

from transformers import Qwen3VLConfig

PATCH, MERGE, FRAMES, RATE = 8, 2, 2, 2.0
CELL = PATCH * MERGE
# Cells (rows, cols) of the pictures, and the probability of each shape.
GRIDS = {(6, 8): 0.8, (5, 9): 0.2}
# Most windows start within the first seconds of a stream, a share of them up to 11 days later.
EARLY_START_MAX_S, LATE_START_MAX_S, LATE_START_SHARE = 2000.0, 1e6, 0.15
# Slots in a window, and the probability of each length.
WINDOW_LENGTHS = {1: 0.15, 2: 0.2, 3: 0.12, 4: 0.15, 5: 0.09, 6: 0.09, 7: 0.08, 8: 0.12}
# For learning directions of motion, for which two slots are enough: mostly short windows.
SHORT_WINDOW_LENGTHS = {1: 0.1, 2: 0.35, 3: 0.17, 4: 0.14, 5: 0.06, 6: 0.06, 7: 0.04, 8: 0.08}
# Training uses scenes of the first range only.
TRAINING_SEEDS = range(1 << 24)
HELD_OUT_SEEDS = range(1 << 24, 1 << 25)
# Maximum number of training questions per window, plus a number for each of its slots: a long
# window costs more to encode and has more to ask about.
MAX_QUESTIONS, MAX_QUESTIONS_PER_SLOT = 8, 2


@dataclass(frozen=True, slots=True)
class QuestionWeights:
    """Relative probability of asking a topic when its answer is "yes", and when it is "no".

    Topics that are not listed have weight 1.
    """

    yes: dict[str, float]
    no: dict[str, float]


# Rare answers are oversampled.
DEFAULT_WEIGHTS = QuestionWeights(
    yes={
        **dict.fromkeys(("left", "right", "on-left", "on-right", "vehicle"), 1.5),
        **dict.fromkeys(("bag", "left-behind"), 2.5),
        **dict.fromkeys(("enter", "leave"), 4.0),
        **dict.fromkeys(("lying", "smoke", "fire"), 8.0),
        **dict.fromkeys(("running", "fall", "changed"), 24.0),
        **dict.fromkeys(("enter-left", "leave-left", "enter-right", "leave-right"), 3.0),
    },
    no=dict.fromkeys(("lying", "smoke", "fire", "running", "fall", "changed"), 0.5),
)
# Directions are learnt late, and only if rarer topics do not crowd them out. Both answers are
# oversampled, since otherwise "yes" would be the best answer whenever anything moves.
_DIRECTIONS = dict.fromkeys(("left", "right"), 6.0)
DIRECTION_WEIGHTS = QuestionWeights(
    {**DEFAULT_WEIGHTS.yes, **_DIRECTIONS}, {**DEFAULT_WEIGHTS.no, **_DIRECTIONS}
)
HIGH_COUNT_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One training stage: `samples` windows in batches of about `slots` slots.

    `rate` is the peak learning rate; `vision_rate` scales it for the vision tower (0: frozen except
    for the deepstack mergers that feed the language model). `dense` is the weight of the loss on
    the per-cell targets, `answers` that of the loss on answers. `lengths` gives the distribution of
    slots per window, `weights` that of the questions, `warmup` the number of warm-up steps.

    A stage ends after a number of windows, not after a time, so that the result does not depend on
    the speed of the machine.
    """

    name: str
    samples: int
    slots: int
    rate: float
    vision_rate: float
    dense: float
    answers: float
    lengths: dict[int, float]
    weights: QuestionWeights = DEFAULT_WEIGHTS
    warmup: int = 60

    def share(self, samples: int) -> float:
        """Progress of the stage after that number of windows, up to 1."""
        return min(1.0, samples / self.samples)


STAGES = (
    Stage("cells", 24_000, 32, 2e-3, 1.0, 1.0, 0.0, {1: 1.0}),
    Stage("stills", 16_000, 32, 1.5e-3, 0.4, 0.3, 1.0, {1: 1.0}),
    Stage("clips", 43_000, 56, 1e-3, 0.5, 0.3, 1.0, WINDOW_LENGTHS),
    Stage("turns", 30_000, 56, 1e-3, 1.0, 0.5, 1.0, SHORT_WINDOW_LENGTHS, DIRECTION_WEIGHTS),
)


def model_config(tokens: dict[str, int], vocabulary: int) -> Qwen3VLConfig:
    """The model's configuration. `tokens` maps special tokens to their ids."""
    text: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 192,
        "intermediate_size": 576,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 32768,
        "initializer_range": 0.04,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
        },
        "pad_token_id": tokens["<|endoftext|>"],
        "bos_token_id": None,
        "eos_token_id": tokens["<|im_end|>"],
        "tie_word_embeddings": True,
    }
    vision: dict[str, Any] = {
        "depth": 4,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_heads": 4,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "out_hidden_size": 192,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [1, 2],
        "initializer_range": 0.04,
    }
    return Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
        tie_word_embeddings=True,
        initializer_range=0.04,
    )
