"""The one family of errors that a person is meant to read."""


class CodecSightError(Exception):
    """Something a user can mend: the message names what failed, where, and the way out."""


class QuestionError(CodecSightError):
    """A question this model cannot be asked; names the question and the way out."""
