"""Writing a planned clip, packet for packet as recorded."""

from collections.abc import Iterator
from datetime import UTC, datetime
from heapq import merge
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Union

import av
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from codecsight.archive.clip_plan import (
    TIME_BASE,
    ClipPlan,
    PacketSelection,
    decode_times,
)
from codecsight.archive.footage.copy_stream import (
    StreamCopy,
    add_sound,
    fits_mp4,
    same_file,
    same_parameters,
    sound_parameters,
    uses_acm,
)
from codecsight.archive.footage.matroska import ACM_OPTIONS, restore_name_in
from codecsight.archive.footage.scan import audio_packets, open_recording, video_packets
from codecsight.archive.output_file import check_output, replacing

_MediaPacket = Union["Packet[VideoStream]", "Packet[AudioStream]"]
_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}


def check_clip_path(out: Path) -> None:
    """Raise ArchiveError if no clip can be written to `out`."""
    check_output(out, tuple(_FORMATS), "a clip")


def write_clip(plan: ClipPlan, out: Path) -> tuple[Path, ...]:
    """Write the clip and return its files.

    It is `out`, or `out` as .mkv where MP4 can't hold the codec. A file holds one codec: where the
    camera's codec changes, NAME-2, NAME-3 and so on follow. A file appears when it is complete.
    Raises ArchiveError if it can't be written.
    """
    check_clip_path(out)
    paths = []
    for number, part in enumerate(_parts(plan.selections), start=1):
        path = out if number == 1 else out.with_stem(f"{out.stem}-{number}")
        if path.suffix.lower() == ".mp4" and not all(fits_mp4(one.source.path) for one in part):
            path = path.with_suffix(".mkv")
        with replacing(path) as temporary:
            _mux(part, temporary, _FORMATS[path.suffix.lower()], plan.start + part[0].seconds[0])
            if path.suffix.lower() == ".mkv" and any(uses_acm(one.source.path) for one in part):
                restore_name_in(temporary)
        paths.append(path)
    return tuple(paths)


def _parts(selections: tuple[PacketSelection, ...]) -> Iterator[list[PacketSelection]]:
    """The selections of each file."""
    part: list[PacketSelection] = []
    for selection in selections:
        if part and not same_file(part[0].source.path, selection.source.path):
            yield part
            part = []
        part.append(selection)
    yield part


def _mux(part: list[PacketSelection], path: Path, container_format: str, created: float) -> None:
    """Write one file; `created` is the wall clock of its first picture, for its metadata."""
    first = part[0].source.path
    varying = not all(same_parameters(first, one.source.path) for one in part[1:])
    options = {"movflags": "+faststart"} if container_format == "mp4" else ACM_OPTIONS
    with (
        open_recording(first) as opened,
        av.open(f"file:{path}", "w", format=container_format, options=options) as container,
    ):
        container.metadata["creation_time"] = datetime.fromtimestamp(created, UTC).isoformat()
        copy = StreamCopy(container, opened.streams.video[0], varying)
        copy.stream.time_base = TIME_BASE
        tracks: list[Iterator[_MediaPacket]] = [_video(part, copy)]
        if with_sound := next((one for one in part if sound_parameters(one.source.path)), None):
            with open_recording(with_sound.source.path) as opened_sound:
                sound = add_sound(container, opened_sound.streams.audio[0])
            tracks.append(_sound(part, sound))
        for packet in merge(*tracks, key=lambda packet: packet.dts or 0):
            container.mux_one(packet)


def _video(part: list[PacketSelection], copy: StreamCopy) -> "Iterator[_MediaPacket]":
    """The pictures of a file, with their times on it."""
    times = _timestamps(part)
    for selection in part:
        wanted = set(selection.indices)
        with open_recording(selection.source.path) as container:
            numbered = enumerate(video_packets(container))
            selected = (packet for index, packet in numbered if index in wanted)
            for packet in copy.packets(container.streams.video[0], selected):
                packet.pts, packet.dts, packet.duration = next(times)
                packet.time_base = TIME_BASE
                yield packet


def _sound(part: list[PacketSelection], stream: AudioStream) -> "Iterator[_MediaPacket]":
    """The sound that was recorded with the pictures of a file."""
    origin, last = min(part[0].seconds), -1
    for selection, following in zip_longest(part, part[1:]):
        begin, newest = min(selection.seconds), max(selection.seconds)
        end = min(following.seconds) if following else newest
        end = max(end, newest + (newest - begin) / max(1, len(selection.seconds) - 1))
        with open_recording(selection.source.path) as container:
            for packet in audio_packets(container):
                at = float((packet.pts or 0) * packet.time_base) + selection.offset
                ticks = round((at - origin) / TIME_BASE)
                if begin <= at < end and ticks > last:
                    last = packet.pts = packet.dts = ticks
                    packet.duration = round((packet.duration or 0) * packet.time_base / TIME_BASE)
                    packet.time_base, packet.stream = TIME_BASE, stream
                    yield packet


def _timestamps(part: list[PacketSelection]) -> Iterator[tuple[int, int, int]]:
    """(pts, dts, duration) of each packet of a file, in ticks of TIME_BASE from its start."""
    seconds = [at for selection in part for at in selection.seconds]
    origin = min(seconds)
    shown = [round((at - origin) / TIME_BASE) for at in seconds]
    decoded = decode_times(shown)
    durations = [max(1, b - a) for a, b in pairwise(decoded)]
    durations.append(durations[-1] if durations else 1)
    for pts, dts, duration in zip(shown, decoded, durations, strict=True):
        yield max(pts, dts), dts, duration  # muxers reject pts < dts
