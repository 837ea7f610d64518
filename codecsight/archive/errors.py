"""What can go wrong with the spool and the archive, told to a person."""

from codecsight.core.errors import CodecSightError


class ArchiveError(CodecSightError):
    """A segment, its row, the spool or the object store; the message says which."""
