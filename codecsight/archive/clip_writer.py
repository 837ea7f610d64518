"""Writing a planned clip to one file, packet for packet as recorded."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from codecsight.archive.clip_plan import (
    TIME_BASE,
    ClipPlan,
    LocalSegment,
    PacketSelection,
    decode_times,
)
from codecsight.archive.errors import ArchiveError

_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}


def same_format(local: list[LocalSegment]) -> list[LocalSegment]:
    """The leading segments that share codec, picture size and codec parameters."""
    formats = [_format(one) for one in local]
    same = next((i for i, each in enumerate(formats) if each != formats[0]), len(local))
    return local[:same]


def write_clip(plan: ClipPlan, out: Path) -> Path:
    """Write the clip and return its path: `out`, or `out` as .mkv where MP4 can't hold the codec.

    The file appears only when it is complete. Raises ArchiveError if it can't be written.
    """
    if out.suffix not in _FORMATS:
        raise ArchiveError(f"{out}: a clip must be an .mp4 or .mkv file")
    if out.suffix == ".mp4" and not _fits_mp4(plan.selections[0].source):
        out = out.with_suffix(".mkv")
    part = out.with_name(f".{out.name}.part")
    try:
        _write(plan, part, _FORMATS[out.suffix])
        part.replace(out)
    except (OSError, av.FFmpegError) as error:
        raise ArchiveError(f"{out}: can't write the clip: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return out


def _write(plan: ClipPlan, path: Path, container_format: str) -> None:
    pts_list = [round(at / TIME_BASE) for one in plan.selections for at in one.seconds]
    times = iter(zip(pts_list, decode_times(pts_list), strict=True))
    options = {"movflags": "+faststart"} if container_format == "mp4" else {}
    with (
        av.open(str(plan.selections[0].source.path)) as first,
        av.open(str(path), "w", format=container_format, options=options) as container,
    ):
        stream = _add_stream(container, first.streams.video[0])
        for selection in plan.selections:
            for packet in _packets(selection):
                pts, packet.dts = next(times)
                packet.pts = max(pts, packet.dts)  # muxers reject pts < dts
                packet.time_base = TIME_BASE
                packet.stream = stream
                container.mux_one(packet)


def _packets(selection: PacketSelection) -> Iterator["Packet[VideoStream]"]:
    wanted = set(selection.indices)
    with av.open(str(selection.source.path)) as container:
        packets = (p for p in container.demux(video=0) if p.size and p.pts is not None)
        yield from (packet for index, packet in enumerate(packets) if index in wanted)


def _add_stream(container: OutputContainer, template: VideoStream) -> VideoStream:
    return container.add_stream_from_template(template, opaque=True)


def _fits_mp4(local: LocalSegment) -> bool:
    with av.open(str(local.path)) as source, av.open(_NullFile(), "w", format="mp4") as container:
        try:
            _add_stream(container, source.streams.video[0])
        except ValueError:
            return False
    return True


def _format(local: LocalSegment) -> tuple[str, int, int, bytes | None]:
    with av.open(str(local.path)) as container:
        codec = container.streams.video[0].codec_context
        return codec.name, codec.width, codec.height, codec.extradata


class _NullFile:
    """A file object that discards what is written."""

    def write(self, data: bytes) -> int:
        return len(data)
