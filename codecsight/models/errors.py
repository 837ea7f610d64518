"""Errors of models."""

from codecsight.core.errors import CodecSightError


class ModelError(CodecSightError):
    """A model that cannot be loaded or used. The message names it and what is missing or wrong."""
