"""A planned clip into one file: the packets as they were recorded, nothing transcoded."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from codecsight.archive.clip_plan import (
    CLOCK,
    ClipPlan,
    LocalSegment,
    PacketSelection,
    decode_times,
)
from codecsight.archive.errors import ArchiveError

_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}


def same_format(pieces: list[LocalSegment]) -> list[LocalSegment]:
    """The pieces up to the first whose codec, picture size or parameters are others."""
    looks = [_look(piece) for piece in pieces]
    same = next((i for i, look in enumerate(looks) if look != looks[0]), len(pieces))
    return pieces[:same]


def write_clip(plan: ClipPlan, out: Path) -> Path:
    """Write the clip to `out`, or beside it as .mkv where MP4 has no place for the codec; the path
    written. The file appears when it is complete. Raises ArchiveError if it cannot be written.
    """
    if out.suffix not in _FORMATS:
        raise ArchiveError(f"{out}: a clip is an .mp4 or .mkv file")
    if out.suffix == ".mp4" and not _fits_mp4(plan.parts[0].piece):
        out = out.with_suffix(".mkv")
    part = out.with_name(f".{out.name}.part")
    try:
        _write(plan, part, _FORMATS[out.suffix])
        part.replace(out)
    except (OSError, av.FFmpegError) as error:
        raise ArchiveError(f"{out}: the clip cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return out


def _write(plan: ClipPlan, path: Path, container_format: str) -> None:
    shown = [round(at / CLOCK) for part in plan.parts for at in part.seconds]
    times = iter(zip(shown, decode_times(shown), strict=True))
    options = {"movflags": "+faststart"} if container_format == "mp4" else {}
    with (
        av.open(str(plan.parts[0].piece.path)) as first,
        av.open(str(path), "w", format=container_format, options=options) as container,
    ):
        stream = _add_stream(container, first.streams.video[0])
        for part in plan.parts:
            for packet in _packets(part):
                pts, packet.dts = next(times)
                packet.pts = max(pts, packet.dts)
                packet.time_base = CLOCK
                packet.stream = stream
                container.mux_one(packet)


def _packets(part: PacketSelection) -> Iterator["Packet[VideoStream]"]:
    places = set(part.places)
    with av.open(str(part.piece.path)) as container:
        packets = (p for p in container.demux(video=0) if p.size and p.pts is not None)
        yield from (packet for place, packet in enumerate(packets) if place in places)


def _add_stream(container: OutputContainer, template: VideoStream) -> VideoStream:
    return container.add_stream_from_template(template, opaque=True)


def _fits_mp4(piece: LocalSegment) -> bool:
    with av.open(str(piece.path)) as source, av.open(_Nowhere(), "w", format="mp4") as container:
        try:
            _add_stream(container, source.streams.video[0])
        except ValueError:
            return False
    return True


def _look(piece: LocalSegment) -> tuple[str, int, int, bytes | None]:
    with av.open(str(piece.path)) as container:
        codec = container.streams.video[0].codec_context
        return codec.name, codec.width, codec.height, codec.extradata


class _Nowhere:
    """A file that is never written to."""

    def write(self, data: bytes) -> int:
        return len(data)
