"""`codecsight inspect`: draw the change tracker's signals and decisions into a video."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from codecsight.cli.options import Policy, Transport
from codecsight.cli.output import err, out
from codecsight.core.errors import CodecSightError
from codecsight.core.urls.redaction import redact_url

if TYPE_CHECKING:
    from av.container import OutputContainer

    from codecsight.change.measurement.yuv_planes import RgbImage
    from codecsight.video.capture.source import Source

STILLS = 6
CONNECT_S = 30.0
VIDEO_FORMATS = {".mp4": "mp4", ".mkv": "matroska"}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")

Video = Annotated[Path, typer.Option("--output", "-o", help="Video to write (.mp4, .mkv).")]
Sheet = Annotated[
    Path | None, typer.Option("--contact-sheet", help="Image of several stills to write, NAME.png.")
]


def inspect(
    source: Annotated[
        str, typer.Argument(help="Video file, rtsp:// URL, or world://NAME (simulated).")
    ],
    video: Video,
    sheet: Sheet = None,
    seconds: Annotated[float, typer.Option(help="Seconds of stream time to draw.", min=1)] = 20.0,
    max_cells: Annotated[int, typer.Option(help="Maximum cells per picture.", min=1)] = 144,
    policy: Policy = "tracked",
    transport: Transport = "tcp",
) -> None:
    """Draw motion vectors and kept cells into a video, to check a change policy.

    Motion vectors are red, with the camera's own motion subtracted. Kept cells are coloured by
    reason: green motion, yellow intra, blue pixels, purple refresh, grey anchor. A line below the
    picture states the camera's motion. The picture is turned and scaled as a player shows it; the
    line says how, if it is not shown as it was coded.

    Example: `codecsight inspect yard.mp4 -o drawn.mp4 --contact-sheet stills.png`
    """
    from codecsight.archive.output_file import check_output

    check_output(video, tuple(VIDEO_FORMATS), "the video")
    if sheet is not None:
        check_output(sheet, IMAGE_SUFFIXES, "the contact sheet")
    opened, reasons = _open(source, transport)
    stills: dict[int, RgbImage] = {}
    with err.status("drawing"):
        try:
            count = _write(video, _draw(opened, seconds, max_cells, policy, stills))
        except _NoPictureError as error:
            text = f"{redact_url(source)}: received no picture ({reasons[-1]})"
            raise CodecSightError(text) from error
        finally:
            opened.close()
    _report(f"{count} pictures in {video}")
    if sheet is not None:
        _write_sheet(sheet, [stills[number] for number in sorted(stills)])
        _report(f"{len(stills)} stills in {sheet}")


class _NoPictureError(CodecSightError):
    """The source gave no picture."""


def _open(source: str, transport: Literal["tcp", "udp"]) -> "tuple[Source, list[str]]":
    """The source, closed if it is a camera that sends nothing within CONNECT_S, and a list of the
    reasons for its changes of state.
    """
    from threading import Timer

    from codecsight.video.capture.open import open_source
    from codecsight.video.capture.source import SourceOptions, SourceState

    opened = open_source(source, SourceOptions(transport=transport, end_on_refused_login=True))

    reasons = ["it ended"]
    opened.on_state = lambda _, detail: reasons.append(detail) if detail else None

    def close_if_absent() -> None:
        if opened.live and opened.state is not SourceState.LIVE:
            opened.close()

    timer = Timer(CONNECT_S, close_if_absent)
    timer.daemon = True
    timer.start()
    return opened, reasons


def _report(line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def _write_sheet(path: Path, stills: "list[RgbImage]") -> None:
    from PIL import Image

    from codecsight.archive.output_file import replacing
    from codecsight.change.overlay import contact_sheet

    with replacing(path) as temporary:
        image_format = Image.registered_extensions()[path.suffix.lower()]
        Image.fromarray(contact_sheet(stills)).save(temporary, format=image_format)


def _draw(
    source: "Source", seconds: float, max_cells: int, policy: str, stills: "dict[int, RgbImage]"
) -> "Iterator[tuple[float, RgbImage]]":
    """Yield the drawn pictures with their times in seconds from 0.

    STILLS of them, evenly spaced, are also added to `stills`; of a video without a whole slot, the
    last.
    """
    from codecsight.change.overlay import draw_overlay, padded
    from codecsight.change.policies import make_policy
    from codecsight.change.tracker import ChangeTracker
    from codecsight.core.grid import GridSpec
    from codecsight.core.slot import ANCHOR_EVERY
    from codecsight.video.codec.decoder import decode_stream

    tracker: ChangeTracker | None = None
    spec, slot, begin = GridSpec(cell=32, frames=2, rate=2.0, max_cells=max_cells), None, 0.0
    picture: RgbImage | None = None
    for frame in decode_stream(source.items()):
        begin = frame.time if tracker is None else begin
        grid = spec.fit(*frame.shown_size)
        if tracker is None or grid != tracker.grid:
            tracker = ChangeTracker(grid, make_policy(policy, grid), ANCHOR_EVERY)
            slot = None
        if (time := frame.time - begin) > seconds:
            break
        done = tracker.feed(frame)
        slot = done or slot
        drawn = draw_overlay(frame, tracker.grid, slot)
        picture = drawn if picture is None else padded(drawn, picture.shape)
        if done is not None:
            stills.setdefault(int(time * STILLS / seconds), picture)
        yield time, picture
    if not stills and picture is not None:
        stills[0] = picture


def _write(path: Path, pictures: "Iterator[tuple[float, RgbImage]]") -> int:
    """Encode pictures into a video; return their number. It appears when it is complete.

    Raises CodecSightError if there is no picture, or if the file can't be written.
    """
    import av

    from codecsight.archive.output_file import replacing

    with replacing(path) as temporary:
        container_format = VIDEO_FORMATS[path.suffix.lower()]
        with av.open(f"file:{temporary}", "w", format=container_format) as container:
            count = _encode(container, pictures)
        if not count:
            raise _NoPictureError
    return count


def _encode(container: "OutputContainer", pictures: "Iterator[tuple[float, RgbImage]]") -> int:
    from fractions import Fraction

    import av

    base, count, last = Fraction(1, 90_000), 0, -1
    stream = container.add_stream("libx264", rate=30, options={"crf": "20", "preset": "fast"})
    stream.codec_context.time_base = base
    for time, picture in pictures:
        if not count:
            stream.height, stream.width = picture.shape[0] & ~1, picture.shape[1] & ~1
        even = picture[: stream.height, : stream.width]
        frame = av.VideoFrame.from_ndarray(even.copy(), format="rgb24")
        frame.pts = last = max(last + 1, round(time / base))  # an encoder needs rising times
        frame.time_base = base
        container.mux(stream.encode(frame))
        count += 1
    if count:
        container.mux(stream.encode(None))
    return count
