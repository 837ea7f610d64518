"""How a stream crosses a local socket: length-prefixed messages, every length bounded.

A message is its kind (1 byte), its length (4 bytes) and its body, big endian.
"""

import json
import os
import struct
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo

HEAD = struct.Struct("!BI")
MAX_BODY = 32 << 20
MAX_PATH_BYTES = 107  # sockaddr_un.sun_path without its terminating zero

_INFO, _PACKET, _STATUS = 1, 2, 3
_PACKET_HEAD = struct.Struct("!qqqIIdB")
_KEYFRAME, _CORRUPT = 1, 2
_NONE = -(1 << 63)


class FeedError(CodecSightError):
    """The feed between a recording process and its reader; the message names the socket."""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """How the recording process is. `state` and `detail` are the source's, `anomalies` what it
    survived, `recorder` the numbers of RecorderStats, `error` what a person should know,
    `feed_dropped` the packets that readers of the feed were too slow for.
    """

    state: str
    detail: str = ""
    error: str = ""
    feed_dropped: int = 0
    anomalies: dict[str, int] = field(default_factory=dict)
    recorder: dict[str, int] = field(default_factory=dict)


FeedItem = StreamInfo | Packet | CaptureStatus


def encode(item: FeedItem) -> bytes:
    """The item as one message. Raises FeedError if it is larger than a message may be."""
    if isinstance(item, Packet):
        kind, body = _PACKET, _encode_packet(item)
    elif isinstance(item, StreamInfo):
        kind, body = _INFO, _encode_info(item)
    else:
        kind, body = _STATUS, json.dumps(asdict(item)).encode()
    if len(body) > MAX_BODY:
        raise FeedError(f"a packet of {len(body)} bytes is too large to pass on")
    return HEAD.pack(kind, len(body)) + body


def decode(kind: int, body: bytes) -> FeedItem:
    """The item a message held. Raises FeedError if it holds none."""
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
    head = _PACKET_HEAD.pack(
        _NONE if packet.pts is None else packet.pts,
        _NONE if packet.dts is None else packet.dts,
        packet.duration,
        packet.time_base.numerator,
        packet.time_base.denominator,
        packet.capture_time,
        packet.keyframe * _KEYFRAME | packet.corrupt * _CORRUPT,
    )
    return head + packet.data


def _decode_packet(body: bytes) -> Packet:
    pts, dts, duration, over, under, capture_time, flags = _PACKET_HEAD.unpack_from(body)
    return Packet(
        data=body[_PACKET_HEAD.size :],
        pts=None if pts == _NONE else pts,
        dts=None if dts == _NONE else dts,
        duration=duration,
        time_base=Fraction(over, under),
        keyframe=bool(flags & _KEYFRAME),
        capture_time=capture_time,
        corrupt=bool(flags & _CORRUPT),
    )


def _encode_info(info: StreamInfo) -> bytes:
    return json.dumps(
        {**asdict(info), "extradata": info.extradata.hex(), "time_base": str(info.time_base)}
    ).encode()


def _decode_info(body: bytes) -> StreamInfo:
    row = json.loads(body)
    row["extradata"] = bytes.fromhex(row["extradata"])
    row["time_base"] = Fraction(row["time_base"])
    return StreamInfo(**row)


def check_socket_path(path: Path) -> None:
    """Raise FeedError if `path` is too long for a Unix socket address."""
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise FeedError(
            f"{path}: a socket's path has at most {MAX_PATH_BYTES} bytes, this one has "
            f"{len(os.fsencode(path))}; use a shorter folder"
        )
