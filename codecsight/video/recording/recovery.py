"""Recovery of recordings that a killed process left in the spool."""

from pathlib import Path

import av

from codecsight.archive.footage.scan import scan
from codecsight.archive.segment import Segment, parse_timestamp
from codecsight.archive.spool import UNREADABLE, Spool

MAX_EMPTY_FILE_BYTES = 2048
"""A file with a header and no packet is not larger than this."""


def recover(spool: Spool, path: Path) -> Segment | None:
    """Turn an unfinished file into a segment of the packets that can be read; None if none can.

    The start time is taken from the file name, the duration from the video. An unreadable file
    stays in the spool as NAME.unreadable for an operator; a file without packets is deleted.
    Raises OSError if the disk fails; the file is then left as it was.
    """
    start = parse_timestamp(path.name)
    try:
        found = scan(path)
    except av.FFmpegError:
        found = None
    if found is not None:
        length, gops = found
        return spool.finish(path, start, start + length, gops)
    if path.stat().st_size > MAX_EMPTY_FILE_BYTES:
        path.replace(path.with_name(path.name + UNREADABLE))
    else:
        path.unlink()
    return None
