"""SmolVLM2 behind the adapter: a SigLIP-like ViT, nine or sixteen patches shuffled to a cell.

A film's introduction counts its frames and its seconds; a stream's leaves that out.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import SmolVLMForConditionalGeneration
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from codecsight.models.families.siglip_base import SiglipAdapter
from codecsight.models.prompt import PromptFormat, in_line


class SmolVLM(SiglipAdapter):
    """The adapter around a `SmolVLMForConditionalGeneration`."""

    family = "smolvlm"
    network_class = SmolVLMForConditionalGeneration

    @property
    def text(self) -> Any:
        """The network's text model."""
        return self.network.model.text_model

    def _configure(self, config: Any) -> None:
        vision = config.vision_config
        self.patch, self.merge = vision.patch_size, config.scale_factor
        self.side = vision.image_size // self.patch // self.merge

    def _prompt_format(self) -> PromptFormat:
        around = getattr(self.tokenizer, "fake_image_token", "<fake_token_around_image>")
        whole = getattr(self.tokenizer, "global_image_token", "<global-img>")
        return PromptFormat(
            cell=self.tokenizer.convert_ids_to_tokens(self.network.config.image_token_id),
            opening=lambda time: f"\nFrame from {minutes(time)}:{around}{whole}",
            closing=around,
            videos=("<video>",),
            spread=in_line,
            template=DEFAULT_CHAT_TEMPLATE,  # transformers' own processor takes no other for films
            intro="You are provided the following series of frames from a video.\n",
            outro="\n\n",
            lead=" ",
        )

    @property
    def _tower(self) -> Any:
        return self.network.model.vision_model

    def _layers(self) -> Sequence[Any]:
        return self._tower.encoder.layers  # type: ignore[no-any-return]

    def _embed_patches(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self._tower.embeddings.patch_embedding(pixels)
        return embedded.flatten(1)

    def _embed_places(self, rows: int, cols: int) -> Tensor:
        """As the ViT itself looks them up for a blank picture of that size."""
        embeddings = self._tower.embeddings
        blank = torch.zeros(1, 3, rows * self.patch, cols * self.patch)
        whole = torch.ones(1, rows, cols, dtype=torch.bool, device=self.kv.device)
        found: list[Tensor] = []
        with embeddings.position_embedding.register_forward_hook(
            lambda _module, _given, places: found.append(places)
        ):
            embeddings(blank.to(self.kv.device, self.kv.dtype), whole)
        return found[0][0]

    def _project(self, patches: Tensor) -> Tensor:
        projected: Tensor = self.network.model.connector(self._tower.post_layernorm(patches))
        return projected[:, 0]


def minutes(time: float) -> str:
    """A moment as transformers' own processor writes it: minutes and seconds."""
    return f"{int(time) // 60:02d}:{int(time) % 60:02d}"
