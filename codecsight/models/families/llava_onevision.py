"""Adapter for LLaVA-OneVision: SigLIP, the mean of 2 x 2 projected patches as a cell.

The published checkpoints have 27 x 27 patches, which are pooled to 14 x 14 by bilinear
interpolation. Two neighbours in the middle share a patch, so such a picture can't be cut into
independent cells. Here a picture has 28 x 28 patches, with SigLIP's own interpolation of the
position embeddings, and a cell is four of them. For an even trained side both are the same.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LlavaOnevisionForConditionalGeneration

from codecsight.models.errors import ModelError
from codecsight.models.families.siglip_base import SiglipAdapter
from codecsight.models.prompt import PromptFormat, sequential_positions


class LlavaOnevision(SiglipAdapter):
    """Adapter for `LlavaOnevisionForConditionalGeneration`."""

    family = "llava_onevision"
    network_class = LlavaOnevisionForConditionalGeneration

    merge = 2

    def _configure(self, config: Any) -> None:
        vision, layer = config.vision_config, config.vision_feature_layer
        siglip = vision.model_type == "siglip_vision_model"
        one_layer = config.vision_feature_select_strategy == "full" and isinstance(layer, int)
        if not siglip or not one_layer:
            raise ModelError(
                f"{self.name}: needs SigLIP as its ViT, with the features of all patches of one "
                "layer"
            )
        self.patch = vision.patch_size
        self.side = math.ceil(vision.image_size // self.patch / self.merge)

    def _prompt_format(self) -> PromptFormat:
        """A slot is a video of one frame. Videos end with the embedding of a new line, which
        replaces that of one more cell token (see `_embed`).
        """
        cell = self.tokenizer.convert_ids_to_tokens(self.network.config.video_token_id)
        return PromptFormat(
            cell_token=cell,
            opening=lambda _: "",
            closing=cell,
            video_placeholders=(cell,),
            cell_positions=sequential_positions,
        )

    def _embed(self, ids: Tensor) -> Tensor:
        """Token embeddings, with that of a new line for every cell token. The features of the cells
        overwrite all but the closing one.
        """
        embeddings = super()._embed(ids)
        embeddings[ids == self.network.config.video_token_id] = self.network.model.image_newline
        return embeddings

    @property
    def _vit(self) -> Any:
        return self.network.model.vision_tower

    def _layers(self) -> Sequence[Any]:
        """The layers up to the one whose features are used. transformers numbers hidden states, of
        which the first is the input of the first layer.
        """
        layers, used = self._vit.encoder.layers, self.network.config.vision_feature_layer
        return layers[: used if used >= 0 else len(layers) + 1 + used]  # type: ignore[no-any-return]

    def _embed_patches(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self._vit.embeddings.patch_embedding(pixels)
        return embedded.flatten(1)

    def _position_embeddings(self, rows: int, cols: int) -> Tensor:
        like = torch.empty(1, rows * cols, self._vit.config.hidden_size)
        height, width = rows * self.patch, cols * self.patch
        positions: Tensor = self._vit.embeddings.interpolate_pos_encoding(like, height, width)
        return positions[0]

    def _project(self, patches: Tensor) -> Tensor:
        projected: Tensor = self.network.model.multi_modal_projector(patches)
        return projected.mean(dim=1)
