"""Errors of the spool, the index rows and the object store."""

from codecsight.core.errors import CodecSightError


class ArchiveError(CodecSightError):
    """A segment, its row, the spool or the object store failed; the message names which."""


class RowError(ArchiveError):
    """An index row is damaged or malformed."""


class MissingObjectError(ArchiveError):
    """No object has the given key."""


class ChecksumError(ArchiveError):
    """A local file's SHA-256 differs from the one in its row."""
