"""Unsupported configurations are rejected when the model is built."""

from typing import Any

import numpy as np
import pytest
import torch

from codecsight.models.errors import ModelError
from tests.golden.family_references import InternVL3, Llava
from tests.golden.reference_base import FamilyReference
from tests.golden.transformers_reference import UnprunedSlot


def with_config(kind: type[FamilyReference], part: str, **fields: Any) -> type[FamilyReference]:
    """The same family with some fields of a part of its configuration replaced."""

    class Changed(kind):  # type: ignore[misc, valid-type]
        def config(self, vocab_size: int, token: Any) -> Any:
            values = super().config(vocab_size, token).to_dict()
            (values[part] if part else values).update(fields)
            return type(super().config(vocab_size, token))(**values)

    return Changed


SLIDING = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            with_config(InternVL3, "text_config", layer_types=None, **SLIDING),
            "of sliding_attention",
        ),
        (with_config(InternVL3, "text_config", model_type="mistral"), "text model is a 'mistral'"),
        (
            with_config(InternVL3, "", vision_feature_layer=-2),
            "features from the last layer of its ViT",
        ),
        (with_config(InternVL3, "vision_config", patch_size=[8, 4]), "square patches"),
        (with_config(Llava, "", vision_feature_select_strategy="default"), "needs SigLIP"),
        (with_config(Llava, "", vision_feature_layer=[0, 1]), "needs SigLIP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unsupported_configuration_is_rejected(
    kind: type[FamilyReference], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        kind()


@torch.inference_mode()
@pytest.mark.parametrize("layer", [-2, 1, -1])
def test_any_vit_layer_may_be_the_feature_layer(layer: int) -> None:
    """transformers numbers hidden states, of which the first is the input of the first layer."""
    llava = with_config(Llava, "", vision_feature_layer=layer)()
    frames = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    unpruned = UnprunedSlot((0.0,), frames, np.ones((4, 4), np.bool_))
    embeddings = llava.model.encode_cells(unpruned.slot(llava.model.cell)).embeddings
    torch.testing.assert_close(embeddings, llava.encode(unpruned), atol=1e-5, rtol=0)
