"""One recorded stretch of video, the row that finds it again, and the keys both go by."""

import json
import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from codecsight.archive.errors import ArchiveError

SEGMENTS = "segments"
ROWS = "rows"

_STREAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")  # SITE.CAMERA, 63 each
_SHA256 = re.compile(r"[0-9a-f]{64}")


class RowError(ArchiveError):
    """A row that is damaged or of another shape."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The index row of a segment. `start` and `end` are wall-clock seconds since the epoch (the
    edge's capture time), `gops` the seconds after `start` at which a key frame stands, in the
    file's order, `key` the object's key in the store, `sha256` its content in hex.

    A segment whose `gops` do not begin with 0.0 continues a GOP of the segment before it.
    """

    stream: str
    start: float
    end: float
    gops: tuple[float, ...]
    bytes: int
    sha256: str
    key: str


def validate_stream_name(stream: str) -> str:
    """The name, if it can be part of a key and of a path; ArchiveError otherwise."""
    if not _STREAM_NAME.fullmatch(stream):
        raise ArchiveError(
            f"{stream!r} is no stream name: use 1 to 127 letters, digits, '.', '_' or '-', "
            "beginning with a letter or digit"
        )
    return stream


def day_prefix(kind: str, stream: str, day: datetime) -> str:
    """Where the objects of one UTC day live: KIND/STREAM/2026/11/23/."""
    return f"{kind}/{stream}/{day:%Y/%m/%d}/"


def format_timestamp(start: float) -> str:
    """A UTC time as the beginning of a file name, sortable, to the millisecond."""
    when = datetime.fromtimestamp(start, UTC)
    return f"{when:%Y%m%dT%H%M%S}.{when.microsecond // 1000:03d}Z"


def parse_timestamp(name: str) -> float:
    """The seconds since the epoch that `format_timestamp` put at the head of a file name."""
    try:
        moment = datetime.strptime(name.partition("Z")[0] + "+0000", "%Y%m%dT%H%M%S.%f%z")
    except ValueError as error:
        raise ArchiveError(f"{name} is not the name of a segment: {error}") from error
    return moment.timestamp()


def segment_key(stream: str, start: float, sha256: str) -> str:
    """The key holds a piece of the content's hash: the same time and other content, as after a
    clock was set back, is another object and overwrites nothing.
    """
    day = day_prefix(SEGMENTS, stream, datetime.fromtimestamp(start, UTC))
    return f"{day}{format_timestamp(start)}-{sha256[:8]}.mkv"


def row_key(segment: Segment) -> str:
    """The row's key: the segment's own under `rows/`, as JSON."""
    return ROWS + segment.key.removeprefix(SEGMENTS).removesuffix(".mkv") + ".json"


def to_json(segment: Segment) -> bytes:
    """The row as it is stored."""
    return json.dumps(asdict(segment), separators=(",", ":")).encode() + b"\n"


def from_json(data: bytes, where: str) -> Segment:
    """Read a row. Raises RowError naming `where` it was found."""
    try:
        row = json.loads(data)
        segment = Segment(
            stream=validate_stream_name(row["stream"]),
            start=_seconds(row["start"]),
            end=_seconds(row["end"]),
            gops=tuple(_seconds(at) for at in row["gops"]),
            bytes=int(row["bytes"]),
            sha256=str(row["sha256"]),
            key=str(row["key"]),
        )
    except (ValueError, TypeError, KeyError, ArchiveError) as error:
        raise RowError(f"{where}: not the row of a segment ({error!r})") from error
    if not _SHA256.fullmatch(segment.sha256) or segment.key != _key_of(segment):
        raise RowError(f"{where}: the row's key or checksum does not fit its stream and time")
    return segment


def _key_of(segment: Segment) -> str:
    return segment_key(segment.stream, segment.start, segment.sha256)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a number of seconds")
    return float(value)
