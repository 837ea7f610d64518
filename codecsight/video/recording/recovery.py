"""Recovery of recordings that a killed process left in the spool."""

from pathlib import Path

import av

from codecsight.archive.segment import Segment, parse_timestamp
from codecsight.archive.spool import Spool

UNREADABLE_SUFFIX = ".unreadable"
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
        end, gops = _scan(path)
    except av.FFmpegError:
        end = None
    if end is not None:
        return spool.finish(path, start, start + end, gops)
    if path.stat().st_size > MAX_EMPTY_FILE_BYTES:
        path.replace(path.with_name(path.name + UNREADABLE_SUFFIX))
    else:
        path.unlink()
    return None


def _scan(path: Path) -> tuple[float | None, tuple[float, ...]]:
    """Seconds until the last packet ends (None without packets), and seconds of key frames."""
    end: float | None = None
    gops = []
    with av.open(str(path), "r", format="matroska") as container:
        for packet in container.demux(video=0):
            if packet.pts is None or not packet.size:
                continue
            pts_s = float(packet.pts * packet.time_base)
            end = max(end or 0.0, pts_s + float((packet.duration or 0) * packet.time_base))
            if packet.is_keyframe:
                gops.append(pts_s)
    return end, tuple(gops)
