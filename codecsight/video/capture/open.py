"""Opens the source for a URL or path."""

import importlib
from typing import cast
from urllib.parse import urlsplit

from codecsight.video.capture.file_source import FileSource
from codecsight.video.capture.live_source import LiveSource
from codecsight.video.capture.source import Source, SourceError, SourceOptions


def open_source(url: str, options: SourceOptions | None = None) -> Source:
    """Create the source for a file path, a camera's URL, or `world://NAME?seed=..`.

    A file is opened here, so that an unreadable one raises SourceError at once. A camera may
    come online later, so only a malformed URL raises here.
    """
    options = options or SourceOptions()
    try:
        scheme = urlsplit(url).scheme.lower() if "://" in url else ""
    except ValueError as error:
        raise SourceError(f"{url.rpartition('@')[2]}: not a valid URL: {error}") from error
    if scheme == "world":
        # By name, because `codecsight.world` imports this package.
        world = importlib.import_module("codecsight.world.source")
        return cast(Source, world.open_world(url, options))
    if scheme in ("", "file"):
        return FileSource(url.removeprefix("file://"), options)
    return LiveSource(url, options)
