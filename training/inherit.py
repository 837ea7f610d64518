"""Take over what an earlier run learnt, which knew fewer words and was taught fewer things."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.network import Learner

# Weights with a row for each word, and those with a row for each dense target.
_WORDS = ("network.model.language_model.embed_tokens.weight", "network.lm_head.weight")
_TARGETS = ("dense_head.weight", "dense_head.bias")


def inherit(learner: Learner, tokenizer: Any, state: Path, words: Any) -> dict[str, Any]:
    """Give `learner` the weights kept in the run's `state`, whose tokenizer was `words`: those of
    words by their spelling, those of dense targets by their place, in front of new ones. Returns
    the progress of that run.
    """
    kept = torch.load(state, weights_only=True)
    own, old = learner.state_dict(), kept["learner"]
    rows = _rows(tokenizer.get_vocab(), words.get_vocab())
    for name, weight in old.items():
        if name in _WORDS:
            own[name] = _placed(own[name], weight, *rows)
        elif name in _TARGETS:
            own[name] = torch.cat([weight, own[name][len(weight) :]])
        else:
            own[name] = weight
    learner.load_state_dict(own)
    progress: dict[str, Any] = kept["progress"]
    return progress


def _rows(mine: dict[str, int], theirs: dict[str, int]) -> tuple[list[int], list[int]]:
    """The numbers of the words that both know, here and there."""
    shared = [word for word in mine if word in theirs]
    return [mine[word] for word in shared], [theirs[word] for word in shared]


def _placed(weight: Tensor, old: Tensor, here: list[int], there: list[int]) -> Tensor:
    weight = weight.clone()
    weight[here] = old[there]
    return weight
