"""Every number of the recipe: the model's shape, the windows it sees, the stages."""

from dataclasses import dataclass
from typing import Any

from transformers import Qwen3VLConfig

PATCH, MERGE, FRAMES, RATE = 8, 2, 2, 2.0
CELL = PATCH * MERGE
# Cells (rows, cols) of the pictures, and how often each shape is drawn.
GRIDS = {(6, 8): 0.8, (5, 9): 0.2}
# Windows begin within so many seconds of the stream, but some as late as after days.
EARLY_START_MAX_S, LATE_START_MAX_S, LATE_START_SHARE = 2000.0, 1e6, 0.15
# Slots in a window, and how often each length is drawn.
WINDOW_LENGTHS = {1: 0.15, 2: 0.2, 3: 0.12, 4: 0.15, 5: 0.09, 6: 0.09, 7: 0.08, 8: 0.12}
# Two slots are all it takes to tell a direction; so where that is to be learnt, most have few.
SHORT_WINDOW_LENGTHS = {1: 0.1, 2: 0.35, 3: 0.17, 4: 0.14, 5: 0.06, 6: 0.06, 7: 0.04, 8: 0.08}
# Training never sees a scene of the other seeds.
TRAINING_SEEDS = range(1 << 24)
HELD_OUT_SEEDS = range(1 << 24, 1 << 25)
# The most questions a window is asked while training, and how many more for each of its slots: a
# long window costs more to read, and there is more to be asked of it.
MAX_QUESTIONS, MAX_QUESTIONS_PER_SLOT = 8, 2


@dataclass(frozen=True, slots=True)
class QuestionWeights:
    """How much likelier than others a topic is asked of where the answer is "yes", and "no"."""

    yes: dict[str, float]
    no: dict[str, float]


# What is rare is asked for where it is seen.
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
# Which way things move is learnt late, and not at all while rarer things crowd it out. Asked for
# both ways, or "yes" would be the best answer wherever anything moves.
_WAYS = dict.fromkeys(("left", "right"), 6.0)
DIRECTION_WEIGHTS = QuestionWeights(
    {**DEFAULT_WEIGHTS.yes, **_WAYS}, {**DEFAULT_WEIGHTS.no, **_WAYS}
)
HIGH_COUNT_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class Stage:
    """`samples` windows in batches of about `slots` slots, while the learning rate falls.
    `vision_rate` scales that of the vision tower (0: frozen but for what feeds the language
    model), `dense` weighs the loss of the per-cell targets, `answers` that of the questions, each
    as likely as its `weights`. Windows are counted, not time: how fast a machine is must not decide
    what it learns.
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
        """How much of it is done after so many windows, up to 1."""
        return min(1.0, samples / self.samples)


STAGES = (
    Stage("cells", 24_000, 32, 2e-3, 1.0, 1.0, 0.0, {1: 1.0}),
    Stage("stills", 16_000, 32, 1.5e-3, 0.4, 0.3, 1.0, {1: 1.0}),
    Stage("clips", 43_000, 56, 1e-3, 0.5, 0.3, 1.0, WINDOW_LENGTHS),
    Stage("turns", 30_000, 56, 1e-3, 1.0, 0.5, 1.0, SHORT_WINDOW_LENGTHS, DIRECTION_WEIGHTS),
)


def model_config(tokens: dict[str, int], vocabulary: int) -> Qwen3VLConfig:
    """The model's config; `tokens` gives the ids of the special tokens."""
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
