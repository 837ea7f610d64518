"""Model families, each behind one small adapter."""

from codecsight.models.base import CellFeatures, KVShape, VisionLanguageModel
from codecsight.models.errors import ModelError
from codecsight.models.loading import DEFAULT_MODEL, load_model

__all__ = [
    "DEFAULT_MODEL",
    "CellFeatures",
    "KVShape",
    "ModelError",
    "VisionLanguageModel",
    "load_model",
]
