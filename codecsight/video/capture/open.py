"""Opens the source for a URL or path."""

import importlib
import re
from typing import cast
from urllib.parse import urlsplit

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.redaction import MASK, redact_url
from codecsight.core.urls.source_url import NETWORK_SCHEMES, check_source_url
from codecsight.video.capture.file_source import FileSource
from codecsight.video.capture.files.local_path import local_path
from codecsight.video.capture.live_source import LiveSource
from codecsight.video.capture.source import Source, SourceError, SourceOptions

ENCODE_HINT = (
    "not a valid URL; if the password holds / ? # or @, write them as %2F %3F %23 and %40, and "
    "a port is a number up to 65535"
)


def open_source(url: str, options: SourceOptions | None = None) -> Source:
    """Create the source for a file path, a camera's URL, or `world://NAME?seed=..`.

    Schemes may be in upper case, and blanks around a URL are ignored. A file is opened here, so
    that an unreadable one raises SourceError at once. A camera may come online later, so only a
    malformed URL raises here.
    """
    options = options or SourceOptions()
    scheme = _scheme(url)
    url = url if scheme == "" else scheme + url.strip()[len(scheme) :]
    _check(url)
    if scheme in ("", "file"):
        return FileSource(local_path(url), options)
    if scheme == "world":
        # By name, because `codecsight.world` imports this package.
        world = importlib.import_module("codecsight.world.source")
        return cast(Source, world.open_world(url, options))
    return LiveSource(url, options)


def _scheme(url: str) -> str:
    """The URL's scheme in lower case; empty for a path."""
    found = re.match(r"\s*([A-Za-z][A-Za-z0-9+.-]*):(//)?", url)
    if found and (found[2] or found[1].lower() in (*NETWORK_SCHEMES, "file")):
        return found[1].lower()
    return ""


def _check(url: str) -> None:
    shown = redact_url(url)
    has_password = _scheme(url) in NETWORK_SCHEMES and f"{MASK}@" in shown
    try:
        check_source_url(url)
    except CodecSightError as error:
        reason = ENCODE_HINT if has_password else str(error)
        raise SourceError(f"{shown}: {reason}" if url.strip() else reason) from error
    # FFmpeg would take a part of the password for the host.
    if has_password and urlsplit(url).hostname != urlsplit(shown).hostname:
        raise SourceError(f"{shown}: {ENCODE_HINT}")
