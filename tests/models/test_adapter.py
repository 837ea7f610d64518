"""What no adapter may take on, said before anything is watched."""

from typing import Any

import numpy as np
import pytest
import torch

from codecsight.models.errors import ModelError
from tests.golden.family_references import FamilyReference, InternVL3, Llava
from tests.golden.transformers_reference import UnprunedSlot


def changed(kind: type[FamilyReference], part: str, **fields: Any) -> type[FamilyReference]:
    """The same family with other numbers in a part of its configuration."""

    class Changed(kind):  # type: ignore[misc, valid-type]
        def config(self, words: int, token: Any) -> Any:
            told = super().config(words, token).to_dict()
            (told[part] if part else told).update(fields)
            return type(super().config(words, token))(**told)

    return Changed


SLIDING = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 0}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (changed(InternVL3, "text_config", layer_types=None, **SLIDING), "of sliding_attention"),
        (changed(InternVL3, "text_config", model_type="mistral"), "text model is a 'mistral'"),
        (changed(InternVL3, "", vision_feature_layer=-2), "the last layer of its ViT"),
        (changed(InternVL3, "vision_config", patch_size=[8, 4]), "square patches"),
        (changed(Llava, "", vision_feature_select_strategy="default"), "needs SigLIP"),
        (changed(Llava, "", vision_feature_layer=[0, 1]), "needs SigLIP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_be_answered_wrong_is_refused(kind: type[FamilyReference], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        kind()


@torch.inference_mode()
@pytest.mark.parametrize("layer", [-2, 1, -1])
def test_any_layer_of_the_vit_may_be_the_one_that_is_read(layer: int) -> None:
    """transformers counts what goes into the first one as well."""
    llava = changed(Llava, "", vision_feature_layer=layer)()
    frames = np.random.default_rng(1).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    look = UnprunedSlot((0.0,), frames, np.ones((4, 4), np.bool_))
    seen = llava.model.encode_cells(look.slot(llava.model.cell)).embeddings
    torch.testing.assert_close(seen, llava.see(look), atol=1e-5, rtol=0)
