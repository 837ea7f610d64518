"""What can be wrong with a question for a given model."""

from codecsight.errors import CodecSightError


class QuestionError(CodecSightError):
    """A question this model cannot be asked; names the question and the way out."""
