"""What a killed process left in the spool becomes segments again, or is set aside."""

from pathlib import Path

import av

from codecsight.archive.segment import Segment, parse_timestamp
from codecsight.archive.spool import Spool

SET_ASIDE = ".unreadable"
HEAD_BYTES = 2048
"""A file that holds a header and no packet is smaller than this."""


def recover(spool: Spool, path: Path) -> Segment | None:
    """Make a left-over file a segment with what can be read of it; None if nothing can.

    Its wall clock is the file name's, its duration the video's own. A file nobody can read stays
    in the spool as NAME.unreadable for a person to look at; one that has no video yet is deleted.
    Raises OSError where the disk refuses, with nothing lost.
    """
    start = parse_timestamp(path.name)
    try:
        end, gops = _scan(path)
    except av.FFmpegError:
        end = None
    if end is not None:
        return spool.finish(path, start, start + end, gops)
    if path.stat().st_size > HEAD_BYTES:
        path.replace(path.with_name(path.name + SET_ASIDE))
    else:
        path.unlink()
    return None


def _scan(path: Path) -> tuple[float | None, tuple[float, ...]]:
    """Seconds until the last packet ends (None without packets), and where the key frames are."""
    end: float | None = None
    gops = []
    with av.open(str(path), "r", format="matroska") as container:
        for packet in container.demux(video=0):
            if packet.pts is None or not packet.size:
                continue
            at = float(packet.pts * packet.time_base)
            end = max(end or 0.0, at + float((packet.duration or 0) * packet.time_base))
            if packet.is_keyframe:
                gops.append(at)
    return end, tuple(gops)
