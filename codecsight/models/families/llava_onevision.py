"""LLaVA-OneVision behind the adapter: SigLIP, four projected patches averaged to a cell.

The published checkpoints have 27 x 27 patches, which are pooled to 14 x 14 by bilinear mixing: two
neighbours in the middle share a patch, so that no picture can be cut into their cells. Here a
picture has 28 x 28 patches, whose places are interpolated as SigLIP does it, and a cell is four of
them. Where the trained side is even, that is the same.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LlavaOnevisionForConditionalGeneration

from codecsight.models.errors import ModelError
from codecsight.models.families.siglip_base import SiglipAdapter
from codecsight.models.prompt import PromptFormat, in_line


class LlavaOnevision(SiglipAdapter):
    """The adapter around a `LlavaOnevisionForConditionalGeneration`."""

    family = "llava_onevision"
    network_class = LlavaOnevisionForConditionalGeneration

    merge = 2

    def _configure(self, config: Any) -> None:
        vision, layer = config.vision_config, config.vision_feature_layer
        siglip = vision.model_type == "siglip_vision_model"
        whole = config.vision_feature_select_strategy == "full" and isinstance(layer, int)
        if not siglip or not whole:
            raise ModelError(
                f"{self.name}: needs SigLIP as its ViT, of which one layer is read with all patches"
            )
        self.patch = vision.patch_size
        self.side = math.ceil(vision.image_size // self.patch / self.merge)

    def _prompt_format(self) -> PromptFormat:
        """A slot is a film of one frame, and films end with the embedding of a new line, which
        stands where a token more says `cell`.
        """
        cell = self.tokenizer.convert_ids_to_tokens(self.network.config.video_token_id)
        return PromptFormat(
            cell=cell, opening=lambda _: "", closing=cell, videos=(cell,), spread=in_line
        )

    def _embed(self, ids: Tensor) -> Tensor:
        embeddings = super()._embed(ids)
        embeddings[ids == self.network.config.video_token_id] = self.network.model.image_newline
        return embeddings

    @property
    def _tower(self) -> Any:
        return self.network.model.vision_tower

    def _layers(self) -> Sequence[Any]:
        """Up to the one that is read: transformers counts what goes into the first one as well."""
        layers, read = self._tower.encoder.layers, self.network.config.vision_feature_layer
        return layers[: read if read >= 0 else len(layers) + 1 + read]  # type: ignore[no-any-return]

    def _embed_patches(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self._tower.embeddings.patch_embedding(pixels)
        return embedded.flatten(1)

    def _embed_places(self, rows: int, cols: int) -> Tensor:
        like = torch.empty(1, rows * cols, self._tower.config.hidden_size)
        height, width = rows * self.patch, cols * self.patch
        places: Tensor = self._tower.embeddings.interpolate_pos_encoding(like, height, width)
        return places[0]

    def _project(self, patches: Tensor) -> Tensor:
        projected: Tensor = self.network.model.multi_modal_projector(patches)
        return projected.mean(dim=1)
