"""`codecsight clip`: export video from the archive."""

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qs, urlencode, urlsplit

import typer

from codecsight.cli.options import AsJson
from codecsight.cli.output import err, out, print_json
from codecsight.core.errors import CodecSightError

if TYPE_CHECKING:
    from codecsight.archive.clip import ClipReport
    from codecsight.config import SiteConfig
    from codecsight.core.urls.credentials import S3Keys

_ENVIRONMENT = {
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}
"""The variables that give an option of an S3 archive's URL, as for other S3 clients."""


def clip(
    stream: Annotated[str, typer.Argument(help="Stream, as SITE.CAMERA; e.g. yard-7.gate.")],
    start: Annotated[
        str,
        typer.Option(
            "--from",
            help="Start: ISO date or time, seconds or milliseconds since 1970, or relative: -5m.",
        ),
    ],
    end: Annotated[str, typer.Option("--to", help="End: as --from, or `now`.")] = "now",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write (.mp4, .mkv).")
    ] = Path("clip.mp4"),
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="site.yaml with the archive, its keys and the spool."),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            help="Archive instead of the one in --config: dir:/path, or s3://BUCKET/PREFIX. The S3 "
            "endpoint, region and keys come from its ?endpoint= and &region=, --config, or "
            "AWS_ENDPOINT_URL_S3, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            help="The site's spool, with what is not uploaded yet. Default: that of --config."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Export a time range of a recorded stream as a playable video file.

    The video is not transcoded; it starts at the key frame at or before --from. Gaps in the
    recording are listed. Where MP4 can't hold the codec, the file is written as .mkv; where the
    camera's codec changed, the clip continues in NAME-2, NAME-3 and so on.

    Example: `codecsight clip yard-7.gate --from -10m --to -5m -o gate.mp4 -c site.yaml`
    """
    from codecsight.archive.clip import cut_clip
    from codecsight.archive.store_factory import open_store
    from codecsight.archive.time_expression import parse_time
    from codecsight.config import SiteConfig, load_config

    now = time.time()
    begin, until = parse_time(start, now), parse_time(end, now)
    site = load_config(config, SiteConfig) if config is not None else None
    url, keys = _archive(site, archive)
    store = open_store(url, keys, create=False)
    with err.status("exporting"):
        report = cut_clip(store, stream, begin, until, output, spool or _readable_spool(site))
    _print(report, as_json)


def _print(report: "ClipReport", as_json: bool) -> None:
    from codecsight.archive.clip import format_time

    paths = [str(path) for path in (report.path, *report.more_paths)]
    if as_json:
        print_json({**asdict(report), "path": paths[0], "more_paths": paths[1:]})
        return
    lines = [
        f"{', '.join(paths)}: {report.end - report.start:.1f} s from {format_time(report.start)}, "
        f"{report.bytes / 1e6:.2f} MB from {len(report.segments)} segments"
    ]
    for gap in report.gaps:
        seconds = gap.end - gap.start
        lines.append(f"missing: {seconds:.1f} s from {format_time(gap.start)}: {gap.reason}")
    for line in lines:
        out.print(line, highlight=False, markup=False, soft_wrap=True)


def _readable_spool(site: "SiteConfig | None") -> Path | None:
    """The spool of a site on this machine; None elsewhere."""
    if site is None or not os.path.lexists(site.spool):
        return None
    if not os.access(site.spool, os.R_OK | os.X_OK):
        err.print(
            f"note: no permission to read the spool {site.spool}: only uploaded recordings count",
            markup=False,
        )
        return None
    return site.spool


def _archive(site: "SiteConfig | None", url: str | None) -> "tuple[str, S3Keys | None]":
    """The archive's complete URL and its keys. Raises CodecSightError that says what is missing."""
    configured = site.archive.url if site is not None else None
    if url is None and configured is None:
        raise CodecSightError(
            "no archive given: use --config site.yaml, --archive dir:/path or --archive s3://BUCKET"
        )
    keys = site.archive.s3_keys() if site is not None else None
    url = url or configured or ""
    if not url.lower().startswith("s3:"):
        return url, None
    return _complete(url, configured or ""), keys or _environment_keys()


def _complete(url: str, configured: str) -> str:
    """An S3 archive's URL with the options it lacks."""
    query = urlsplit(url).query
    given, others = parse_qs(query), parse_qs(urlsplit(configured).query)
    added = {}
    for option, variables in _ENVIRONMENT.items():
        values = [*others.get(option, []), *(os.environ.get(name, "") for name in variables)]
        value = next(filter(None, values), None)
        if option not in given and value is not None:
            added[option] = value
    if "endpoint" not in {**given, **added}:
        raise CodecSightError(
            "the archive's option 'endpoint' is missing: write s3://BUCKET/PREFIX?endpoint=HOST:PORT"
            ", set AWS_ENDPOINT_URL_S3, or give --config site.yaml"
        )
    if not added:
        return url
    return f"{url}{'&' if query else '?'}{urlencode(added)}".replace("??", "?")


def _environment_keys() -> "S3Keys":
    from codecsight.core.urls.credentials import S3Keys

    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    values = [os.environ.get(name, "") for name in names]
    missing = [name for name, value in zip(names, values, strict=True) if not value]
    if missing:
        raise CodecSightError(
            f"an S3 archive needs keys: set {' and '.join(missing)}, or give --config site.yaml"
        )
    return S3Keys(*values)
