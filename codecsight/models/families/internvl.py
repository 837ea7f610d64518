"""InternVL3 behind the adapter: a class token before the patches, four of which make a cell."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import InternVLForConditionalGeneration
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from codecsight.models.errors import ModelError
from codecsight.models.families.siglip_base import SiglipAdapter
from codecsight.models.prompt import PromptFormat, in_line


class InternVL(SiglipAdapter):
    """The adapter around an `InternVLForConditionalGeneration`."""

    family = "internvl"
    network_class = InternVLForConditionalGeneration
    pixel_scale = (tuple(IMAGENET_DEFAULT_MEAN), tuple(IMAGENET_DEFAULT_STD))

    def _configure(self, config: Any) -> None:
        vision = config.vision_config
        (self.patch, height), (width, other) = vision.patch_size, vision.image_size
        self.merge = round(1 / config.downsample_ratio)
        self.side = width // (self.patch * self.merge)
        plain = vision.use_absolute_position_embeddings and config.vision_feature_layer == -1
        if not plain or (self.patch, width) != (height, other):
            raise ModelError(
                f"{self.name}: needs square patches and pictures with learned places, and the last "
                "layer of its ViT to be the one that is read"
            )

    def _prompt_format(self) -> PromptFormat:
        start = getattr(self.tokenizer, "start_image_token", "<img>")
        end = getattr(self.tokenizer, "end_image_token", "</img>")
        return PromptFormat(
            cell=self.tokenizer.convert_ids_to_tokens(self.network.config.image_token_id),
            opening=lambda time: f"Frame at {time:.1f} seconds: {start}",
            closing=f"{end}\n",
            videos=(getattr(self.tokenizer, "video_token", "<video>"),),
            spread=in_line,
        )

    @property
    def _tower(self) -> Any:
        return self.network.model.vision_tower

    def _layers(self) -> Sequence[Any]:
        return self._tower.encoder.layer  # type: ignore[no-any-return]

    def _through(self, layer: Any, pack: Tensor) -> Tensor:
        seen: Tensor = layer(pack)
        return seen

    def _heading(self) -> Tensor:
        embeddings = self._tower.embeddings
        heading: Tensor = embeddings.cls_token[0] + embeddings.position_embeddings[0, :1]
        return heading

    def _embed_patches(self, pixels: Tensor) -> Tensor:
        embedded: Tensor = self._tower.embeddings.patch_embeddings(pixels)
        return embedded[:, 0]

    def _embed_places(self, rows: int, cols: int) -> Tensor:
        embeddings = self._tower.embeddings
        like = torch.empty(1, rows * cols + 1, self._tower.config.hidden_size)
        height, width = rows * self.patch, cols * self.patch
        places: Tensor = embeddings.interpolate_pos_encoding(like, height, width)
        return places[0, 1:]

    def _project(self, patches: Tensor) -> Tensor:
        model, side = self.network.model, self.merge
        cells = self._tower.layernorm(patches).view(len(patches), side, side, -1)
        merged = model.pixel_shuffle(cells, scale_factor=self.network.config.downsample_ratio)
        projected: Tensor = model.multi_modal_projector(merged.flatten(1))
        return projected
