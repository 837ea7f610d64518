"""Adapter for SmolVLM2: a SigLIP-like ViT, 3 x 3 or 4 x 4 patches merged to a cell by pixel
shuffle.

The introduction of a video states its numbers of frames and seconds; that of a stream leaves them
out, because they change.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import SmolVLMForConditionalGeneration
from transformers.models.smolvlm.processing_smolvlm import DEFAULT_CHAT_TEMPLATE

from codecsight.models.families.siglip_base import SiglipAdapter
from codecsight.models.prompt import PromptFormat, sequential_positions


class SmolVLM(SiglipAdapter):
    """Adapter for `SmolVLMForConditionalGeneration`."""

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
            cell_token=self.tokenizer.convert_ids_to_tokens(self.network.config.image_token_id),
            opening=lambda time: f"\nFrame from {minutes(time)}:{around}{whole}",
            closing=around,
            video_placeholders=("<video>",),
            cell_positions=sequential_positions,
            chat_template=DEFAULT_CHAT_TEMPLATE,  # the only one transformers uses for videos
            intro="You are provided the following series of frames from a video.\n",
            outro="\n\n",
            answer_prefix=" ",
        )

    @property
    def _vit(self) -> Any:
        return self.network.model.vision_model

    def _layers(self) -> Sequence[Any]:
        return self._vit.encoder.layers  # type: ignore[no-any-return]

    def _embed_patches(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self._vit.embeddings.patch_embedding(pixels)
        return embedded.flatten(1)

    def _position_embeddings(self, rows: int, cols: int) -> Tensor:
        """Captured from the ViT's own lookup for a blank picture of that size."""
        embeddings = self._vit.embeddings
        blank = torch.zeros(1, 3, rows * self.patch, cols * self.patch)
        whole = torch.ones(1, rows, cols, dtype=torch.bool, device=self.kv.device)
        captured: list[Tensor] = []
        with embeddings.position_embedding.register_forward_hook(
            lambda _module, _inputs, output: captured.append(output)
        ):
            embeddings(blank.to(self.kv.device, self.kv.dtype), whole)
        return captured[0][0]

    def _project(self, patches: Tensor) -> Tensor:
        projected: Tensor = self.network.model.connector(self._vit.post_layernorm(patches))
        return projected[:, 0]


def minutes(time: float) -> str:
    """A time in seconds as MM:SS, the format of transformers' processor."""
    return f"{int(time) // 60:02d}:{int(time) % 60:02d}"
