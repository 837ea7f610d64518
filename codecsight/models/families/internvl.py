"""Adapter for InternVL3: a class token before the patches, 2 x 2 patches in a cell."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import InternVLForConditionalGeneration
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from codecsight.models.errors import ModelError
from codecsight.models.families.siglip_base import SiglipAdapter
from codecsight.models.prompt import PromptFormat, sequential_positions


class InternVL(SiglipAdapter):
    """Adapter for `InternVLForConditionalGeneration`."""

    family = "internvl"
    network_class = InternVLForConditionalGeneration
    pixel_normalization = (tuple(IMAGENET_DEFAULT_MEAN), tuple(IMAGENET_DEFAULT_STD))

    def _configure(self, config: Any) -> None:
        vision = config.vision_config
        (self.patch, height), (width, other) = vision.patch_size, vision.image_size
        self.merge = round(1 / config.downsample_ratio)
        self.side = width // (self.patch * self.merge)
        plain = vision.use_absolute_position_embeddings and config.vision_feature_layer == -1
        if not plain or (self.patch, width) != (height, other):
            raise ModelError(
                f"{self.name}: needs square patches and pictures, learned position embeddings, and "
                "features from the last layer of its ViT"
            )

    def _prompt_format(self) -> PromptFormat:
        """The time of each frame takes the place of its number: numbers would change whenever the
        window moves.
        """
        start = getattr(self.tokenizer, "start_image_token", "<img>")
        end = getattr(self.tokenizer, "end_image_token", "</img>")
        return PromptFormat(
            cell_token=self.tokenizer.convert_ids_to_tokens(self.network.config.image_token_id),
            opening=lambda time: f"Frame at {time:.1f} seconds: {start}",
            closing=f"{end}\n",
            video_placeholders=(getattr(self.tokenizer, "video_token", "<video>"),),
            cell_positions=sequential_positions,
        )

    @property
    def _vit(self) -> Any:
        return self.network.model.vision_tower

    def _layers(self) -> Sequence[Any]:
        return self._vit.encoder.layer  # type: ignore[no-any-return]

    def _run_layer(self, layer: Any, pack: Tensor) -> Tensor:
        output: Tensor = layer(pack)
        return output

    def _leading_tokens(self) -> Tensor:
        embeddings = self._vit.embeddings
        class_token: Tensor = embeddings.cls_token[0] + embeddings.position_embeddings[0, :1]
        return class_token

    def _embed_patches(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self._vit.embeddings.patch_embeddings(pixels)
        return embedded[:, 0]

    def _position_embeddings(self, rows: int, cols: int) -> Tensor:
        embeddings = self._vit.embeddings
        like = torch.empty(1, rows * cols + 1, self._vit.config.hidden_size)
        height, width = rows * self.patch, cols * self.patch
        positions: Tensor = embeddings.interpolate_pos_encoding(like, height, width)
        return positions[0, 1:]  # without the class token's

    def _project(self, patches: Tensor) -> Tensor:
        model, side = self.network.model, self.merge
        cells = self._vit.layernorm(patches).view(len(patches), side, side, -1)
        merged = model.pixel_shuffle(cells, scale_factor=self.network.config.downsample_ratio)
        projected: Tensor = model.multi_modal_projector(merged.flatten(1))
        return projected
