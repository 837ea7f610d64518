"""Errors whose messages are shown to users."""


class CodecSightError(Exception):
    """Base of all errors a user can fix: the message says what failed, where, and how to fix it."""


class QuestionError(CodecSightError):
    """A question this model cannot answer. The message names the question and how to fix it."""
