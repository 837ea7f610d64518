"""What can be wrong with a model."""

from codecsight.core.errors import CodecSightError


class ModelError(CodecSightError):
    """A model that cannot be loaded or used; names the folder and what is missing."""
