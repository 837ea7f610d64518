"""Errors of the spool, the index rows and the object store."""

from codecsight.core.errors import CodecSightError


class ArchiveError(CodecSightError):
    """A segment, its row, the spool or the object store failed; the message names which."""


class RowError(ArchiveError):
    """An index row is damaged or malformed."""


class MissingObjectError(ArchiveError):
    """No object has the given key."""


class DamagedFileError(ArchiveError):
    """A local file can't be read, or is not what was recorded; the store is not to blame."""


class ChecksumError(DamagedFileError):
    """A local file's SHA-256 differs from the one in its row."""
