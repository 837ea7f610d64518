"""Names of sites, cameras and streams: one form in configuration, on the wire and in the archive.

A name becomes part of paths, object keys, log lines and terminals. So only letters, digits, `_` and
`-` are allowed, and a stream is SITE.CAMERA.
"""

import re

from codecsight.core.errors import CodecSightError

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
"""1 to 63 letters, digits, `_` and `-`, the first one a letter or digit."""
MAX_SHOWN = 80

_STREAM = re.compile(rf"{NAME_PATTERN}\.{NAME_PATTERN}")
_RECORDING = re.compile(rf"{NAME_PATTERN}(\.{NAME_PATTERN})?")


class NameFormError(CodecSightError):
    """A name that is not of the form that names have."""


def check_stream(stream: str) -> str:
    """Return the name of a site's stream. Raises NameFormError, which shows it escaped."""
    if not _STREAM.fullmatch(stream):
        raise NameFormError(
            f"{shown(stream)} is not a stream: use SITE.CAMERA, each of 1 to 63 letters, digits, "
            "'_' or '-', starting with a letter or digit"
        )
    return stream


def check_recording(stream: str) -> str:
    """Return the name of a recorded stream: SITE.CAMERA, or one name. Raises NameFormError."""
    if not _RECORDING.fullmatch(stream):
        raise NameFormError(
            f"{shown(stream)} is not a stream name: use SITE.CAMERA or one name, of letters, "
            "digits, '_' or '-', starting with a letter or digit"
        )
    return stream


def shown(text: str) -> str:
    """Text from outside for a message: quoted, escaped, and cut to MAX_SHOWN characters."""
    return ascii(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")
