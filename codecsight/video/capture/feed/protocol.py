"""Message format of the feed: length-prefixed messages with bounded lengths.

A message is its kind (1 byte), the length of its body (4 bytes) and its body, big endian.
"""

import json
import os
import struct
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

from codecsight.core.errors import CodecSightError
from codecsight.core.orientation import Orientation
from codecsight.core.packet import Packet, StreamInfo

HEADER = struct.Struct("!BI")
MAX_BODY = 32 << 20
MAX_PATH_BYTES = 107  # sockaddr_un.sun_path without its terminating zero

_INFO, _PACKET, _STATUS = 1, 2, 3
_PACKET_HEADER = struct.Struct("!qqqIIdB")
_KEYFRAME, _CORRUPT = 1, 2
_NONE = -(1 << 63)


class FeedError(CodecSightError):
    """An error of the feed between a recording process and a reader; it names the socket."""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """Status of the recording process.

    `state`, `detail` and `anomalies` are the source's (see `Source`). `recorder` holds the counts
    of RecorderStats and `error` its errors, joined. `feed_dropped` counts packets dropped for
    readers of the feed that were too slow.
    """

    state: str
    detail: str = ""
    error: str = ""
    feed_dropped: int = 0
    anomalies: dict[str, int] = field(default_factory=dict)
    recorder: dict[str, int] = field(default_factory=dict)


FeedItem = StreamInfo | Packet | CaptureStatus


def encode(item: FeedItem) -> bytes:
    """Encode an item as one message. Raises FeedError if its body exceeds MAX_BODY bytes."""
    if isinstance(item, Packet):
        kind, body = _PACKET, _encode_packet(item)
    elif isinstance(item, StreamInfo):
        kind, body = _INFO, _encode_info(item)
    else:
        kind, body = _STATUS, json.dumps(asdict(item)).encode()
    if len(body) > MAX_BODY:
        raise FeedError(f"a packet of {len(body)} bytes exceeds the feed's limit of {MAX_BODY}")
    return HEADER.pack(kind, len(body)) + body


def decode(kind: int, body: bytes) -> FeedItem:
    """Decode a message's body. Raises FeedError if it is damaged."""
    try:
        if kind == _PACKET:
            return _decode_packet(body)
        if kind == _INFO:
            return _decode_info(body)
        if kind == _STATUS:
            return CaptureStatus(**json.loads(body))
    except (struct.error, ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        raise FeedError(f"the feed sent a damaged message of kind {kind}: {error}") from error
    raise FeedError(f"the feed sent a message of unknown kind {kind}")


def _encode_packet(packet: Packet) -> bytes:
    header = _PACKET_HEADER.pack(
        _NONE if packet.pts is None else packet.pts,
        _NONE if packet.dts is None else packet.dts,
        packet.duration,
        packet.time_base.numerator,
        packet.time_base.denominator,
        packet.capture_time,
        packet.keyframe * _KEYFRAME | packet.corrupt * _CORRUPT,
    )
    return header + packet.data


def _decode_packet(body: bytes) -> Packet:
    pts, dts, duration, numerator, denominator, capture_time, flags = _PACKET_HEADER.unpack_from(
        body
    )
    return Packet(
        data=body[_PACKET_HEADER.size :],
        pts=None if pts == _NONE else pts,
        dts=None if dts == _NONE else dts,
        duration=duration,
        time_base=Fraction(numerator, denominator),
        keyframe=bool(flags & _KEYFRAME),
        capture_time=capture_time,
        corrupt=bool(flags & _CORRUPT),
    )


def _encode_info(info: StreamInfo) -> bytes:
    return json.dumps(
        {
            **asdict(info),
            "extradata": info.extradata.hex(),
            "time_base": str(info.time_base),
            "sample_aspect": str(info.sample_aspect),
        }
    ).encode()


def _decode_info(body: bytes) -> StreamInfo:
    row = json.loads(body)
    row["extradata"] = bytes.fromhex(row["extradata"])
    row["time_base"] = Fraction(row["time_base"])
    row["sample_aspect"] = Fraction(row["sample_aspect"])
    row["orientation"] = Orientation(**row["orientation"])
    return StreamInfo(**row)


def check_socket_path(path: Path) -> None:
    """Raise FeedError if `path` is too long for a Unix socket address."""
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise FeedError(
            f"{path}: a socket's path has at most {MAX_PATH_BYTES} bytes, this one has "
            f"{len(os.fsencode(path))}; use a shorter folder name"
        )
