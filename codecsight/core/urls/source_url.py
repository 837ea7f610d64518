"""URLs of video sources: which schemes there are, and what is wrong with another one."""

import difflib
import re
from urllib.parse import urlsplit

from codecsight.core.errors import CodecSightError

NETWORK_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "rtp", "udp", "tcp", "srt")
SCHEMES = (*NETWORK_SCHEMES, "file", "world")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//)?")


def check_source_url(url: str) -> None:
    """Raise CodecSightError for an empty URL, an unknown scheme, or a network URL without a host or
    with an impossible port. Anything without a scheme is the path of a file. The message shows
    neither user nor password.
    """
    if not url.strip():
        raise CodecSightError("the URL is empty; expected rtsp://HOST/PATH, or the path of a file")
    found = _SCHEME.match(url.strip())
    if found is None:
        return
    scheme, has_slashes = found[1].lower(), found[2] is not None
    if has_slashes and scheme not in SCHEMES:
        raise CodecSightError(f"unknown scheme {found[1]!r}; {_suggestion(scheme)}")
    if scheme in NETWORK_SCHEMES:
        _check_host(url.strip(), scheme, has_slashes=has_slashes)


def _check_host(url: str, scheme: str, *, has_slashes: bool) -> None:
    try:
        parts = urlsplit(url)
        valid = has_slashes and bool(parts.netloc)
        _ = parts.port  # raises ValueError if it is not a number up to 65535
    except ValueError as error:
        raise CodecSightError(
            f"expected {scheme}://HOST[:PORT]/PATH with a port up to 65535, "
            "and an IPv6 address in brackets"
        ) from error
    if not valid:
        raise CodecSightError(f"the host is missing; expected {scheme}://HOST[:PORT]/PATH")


def _suggestion(scheme: str) -> str:
    close = difflib.get_close_matches(scheme, SCHEMES, n=2)
    known = f"known: {', '.join(SCHEMES)}, or the path of a file"
    return f"did you mean {' or '.join(close)}? {known}" if close else known
