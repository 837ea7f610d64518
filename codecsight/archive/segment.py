"""A recorded segment of video, its index row (JSON), and the object keys of both."""

import json
import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from codecsight.archive.errors import ArchiveError, RowError
from codecsight.core.names import NameFormError, check_recording

SEGMENTS = "segments"
ROWS = "rows"

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Segment:
    """The index row of a segment.

    `start` and `end` are capture times at the edge, in seconds since the epoch. `gops` holds the
    offset of each key frame from `start` in seconds, in file order; if the first is not 0.0, the
    segment continues a GOP of the segment before it. `key` is the object's key in the store and
    `sha256` the hash of its content in hex.
    """

    stream: str
    start: float
    end: float
    gops: tuple[float, ...]
    bytes: int
    sha256: str
    key: str


def validate_stream_name(stream: str) -> str:
    """Return the name if it can be part of a key and of a path; raise ArchiveError otherwise."""
    try:
        return check_recording(stream)
    except NameFormError as error:
        raise ArchiveError(str(error)) from error


def day_prefix(kind: str, stream: str, day: datetime) -> str:
    """Key prefix of the objects of one UTC day: KIND/STREAM/2026/11/23/."""
    return f"{kind}/{stream}/{day:%Y/%m/%d}/"


def format_timestamp(start: float) -> str:
    """A sortable UTC time with milliseconds, the first part of a file name.

    Example: 20261123T090000.123Z for 1795424400.123.
    """
    moment = datetime.fromtimestamp(start, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{moment.microsecond // 1000:03d}Z"


def parse_timestamp(name: str) -> float:
    """Seconds since the epoch from a file name that starts with `format_timestamp`'s output."""
    try:
        moment = datetime.strptime(name.partition("Z")[0] + "+0000", "%Y%m%dT%H%M%S.%f%z")
    except ValueError as error:
        raise ArchiveError(f"{name} is not a segment's file name: {error}") from error
    return moment.timestamp()


def segment_key(stream: str, start: float, sha256: str) -> str:
    """The object key of a segment.

    It includes part of the content's hash: two recordings with the same start time, as after a
    clock was set back, get different keys and neither overwrites the other.
    """
    day = day_prefix(SEGMENTS, stream, datetime.fromtimestamp(start, UTC))
    return f"{day}{format_timestamp(start)}-{sha256[:8]}.mkv"


def row_key(segment: Segment) -> str:
    """The key of a segment's row: the segment's key under `rows/`, ending in .json."""
    return ROWS + segment.key.removeprefix(SEGMENTS).removesuffix(".mkv") + ".json"


def to_json(segment: Segment) -> bytes:
    """Serialise a row: one line of JSON."""
    return json.dumps(asdict(segment), separators=(",", ":")).encode() + b"\n"


def from_json(data: bytes, where: str) -> Segment:
    """Parse a row. Raises RowError, which names `where` it was read from."""
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
        raise RowError(f"{where}: not a segment's row ({error!r})") from error
    if not _SHA256.fullmatch(segment.sha256) or segment.key != _key_of(segment):
        raise RowError(f"{where}: the row's key or checksum does not match its stream and time")
    return segment


def _key_of(segment: Segment) -> str:
    return segment_key(segment.stream, segment.start, segment.sha256)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is not a number of seconds")
    return float(value)
