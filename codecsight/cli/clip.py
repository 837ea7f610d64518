"""`codecsight clip`: export video from the archive."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from codecsight.cli.options import AsJson
from codecsight.cli.output import err, out, print_json
from codecsight.core.errors import CodecSightError

if TYPE_CHECKING:
    from codecsight.config.shared_sections import ArchiveConfig


def clip(
    stream: Annotated[str, typer.Argument(help="Stream, as SITE.CAMERA; e.g. yard-7.gate.")],
    start: Annotated[
        str,
        typer.Option("--from", help="Start: ISO time, seconds since the epoch, or relative: -5m."),
    ],
    end: Annotated[str, typer.Option("--to", help="End: as --from, or `now`.")] = "now",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write (.mp4, .mkv).")
    ] = Path("clip.mp4"),
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="site.yaml with the archive and its keys.")
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="Archive folder, as dir:/path, instead of --config.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export a time range of a recorded stream as a playable video file.

    The video is not transcoded; it starts at the key frame at or before --from. Gaps in the
    recording are listed. Where MP4 can't hold the codec, the file is written as .mkv.

    Example: `codecsight clip yard-7.gate --from -10m --to -5m -o gate.mp4 -c site.yaml`
    """
    from codecsight.archive.clip import cut_clip, format_time
    from codecsight.archive.store_factory import open_store
    from codecsight.archive.time_expression import parse_time

    settings = _archive(config, archive)
    now = time.time()
    store = open_store(settings.url, settings.s3_keys(), create=False)
    with err.status("exporting"):
        report = cut_clip(store, stream, parse_time(start, now), parse_time(end, now), output)
    if as_json:
        print_json({**asdict(report), "path": str(report.path)})
        return
    out.print(
        f"{report.path}: {report.end - report.start:.1f} s from {format_time(report.start)}, "
        f"{report.bytes / 1e6:.2f} MB from {len(report.segments)} segments",
        highlight=False,
        soft_wrap=True,
    )
    for gap in report.gaps:
        seconds = gap.end - gap.start
        out.print(
            f"missing: {seconds:.1f} s from {format_time(gap.start)}: {gap.reason}", highlight=False
        )


def _archive(config: Path | None, url: str | None) -> "ArchiveConfig":
    from codecsight.config import SiteConfig, load_config
    from codecsight.config.shared_sections import ArchiveConfig

    if url is not None:
        return ArchiveConfig(url=url)
    if config is None:
        raise CodecSightError("no archive given: use --config site.yaml or --archive dir:/path")
    return load_config(config, SiteConfig).archive
