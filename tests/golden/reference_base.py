"""Base of the family references: a small random network, and transformers' own logits for a window.

A reference writes the whole prompt, encodes whole pictures and numbers positions as transformers
does. Pruning comes last: dropped patches are masked as keys in the ViT's attention, and dropped
cells are removed from the sequence, while all other tokens keep their positions.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from codecsight.core.grid import PatchGrid
from codecsight.models.adapter import Adapter
from codecsight.models.tiny import byte_tokenizer
from tests.golden.transformers_reference import UnprunedSlot, latest_features

TEXT_CONFIG = {
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
}


class FamilyReference:
    """Reference of one family. `grid` is the rows and columns of cells in its pictures."""

    adapter: ClassVar[type[Adapter]]
    grid: ClassVar[tuple[int, int]] = (3, 4)
    cell: ClassVar[str]
    special: ClassVar[Sequence[str]]
    template: ClassVar[str]
    end: ClassVar[str] = "<|im_end|>"

    def __init__(self) -> None:
        tokenizer = byte_tokenizer(self.special, self.template, self.end)
        config = self.config(len(tokenizer), tokenizer.convert_tokens_to_ids)
        with torch.random.fork_rng():
            torch.manual_seed(4)
            network = self.adapter.network_class._from_config(config, attn_implementation="sdpa")
            with torch.no_grad():
                for weight in network.parameters():
                    weight += 0.1 * torch.randn_like(weight)  # some are initialised with zeros
        self.network = network
        self.model = self.adapter(network, tokenizer, name=self.adapter.family)

    @property
    def patches(self) -> PatchGrid:
        rows, cols = self.grid
        return PatchGrid(self.model.grid_spec(rate=2.0, max_cells=rows * cols), rows, cols)

    # Defined by each family

    def config(self, vocab_size: int, token: Any) -> Any:
        raise NotImplementedError

    def prompt(self, stream: Sequence[UnprunedSlot], question: str) -> str:
        raise NotImplementedError

    def inputs(self, ids: Tensor, stream: Sequence[UnprunedSlot]) -> dict[str, Any]:
        """Arguments of transformers' forward besides `ids`."""
        raise NotImplementedError

    def positions(self, ids: Tensor, _stream: Sequence[UnprunedSlot]) -> Tensor:
        return torch.arange(ids.shape[1])[None]

    def encode(self, unpruned: UnprunedSlot) -> Tensor:
        """Embeddings [cells, d] of all cells, with the dropped patches masked."""
        raise NotImplementedError

    def with_closing(self, cells: Tensor) -> Tensor:
        """The `cells` of a slot (marks or embeddings), followed by those of its closing token."""
        return cells

    # Common to all

    def ids(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        text = self.prompt(stream, question)
        return torch.tensor([self.model.tokenizer(text, add_special_tokens=False)["input_ids"]])

    @torch.inference_mode()
    def plain(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        """Logits [vocab] after the question, from one call of transformers' forward on pixels."""
        ids = self.ids(stream, question)
        return self.network(input_ids=ids, **self.inputs(ids, stream)).logits[0, -1]

    @torch.inference_mode()
    def pruned(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        """Logits [vocab] after the question, with the dropped cells left out."""
        return self._logits_over(stream, question, [self.encode(unpruned) for unpruned in stream])

    @torch.inference_mode()
    def latest(self, stream: Sequence[UnprunedSlot], question: str) -> Tensor:
        """Logits [vocab] about the last slot alone, with each cell's latest features."""
        features = latest_features(
            [unpruned.kept for unpruned in stream], [[self.encode(unpruned)] for unpruned in stream]
        )
        whole = replace(stream[-1], kept=np.ones_like(stream[-1].kept))
        return self._logits_over([whole], question, features)

    def _logits_over(
        self, stream: Sequence[UnprunedSlot], question: str, features: Sequence[Tensor]
    ) -> Tensor:
        ids = self.ids(stream, question)
        visual = ids[0] == self.model.tokenizer.convert_tokens_to_ids(self.cell)
        embeddings = self.network.get_input_embeddings()(ids)
        embeddings[0, visual] = torch.cat([self.with_closing(each) for each in features])
        stays = ~visual
        kept = torch.cat(
            [self.with_closing(torch.from_numpy(unpruned.kept.ravel())) for unpruned in stream]
        )
        stays[visual] = kept
        hidden = self.model.text(
            inputs_embeds=embeddings[:, stays],
            position_ids=self.positions(ids, stream)[..., stays],
        ).last_hidden_state
        return self.network.lm_head(hidden[0, -1])

    def normalized(self, stream: Sequence[UnprunedSlot]) -> Tensor:
        """Pixels normalised as by the family's processor: [slots, frames, 3, height, width]."""
        mean, std = (torch.tensor(each).view(3, 1, 1) for each in self.model.pixel_normalization)
        frames = torch.from_numpy(np.stack([unpruned.frames for unpruned in stream]))
        return (frames.float() / 255 - mean) / std


def kept_patches(unpruned: UnprunedSlot, merge: int, leading: int = 0) -> Tensor:
    """Marks of the kept patches, row by row, after `leading` tokens that are always kept."""
    kept = np.kron(unpruned.kept, np.ones((merge, merge), np.bool_)).ravel()
    return torch.from_numpy(np.concatenate([np.ones(leading, np.bool_), kept]))
