"""Removes secrets from URLs and texts before they are shown: in errors, logs, tables and status.

Secrets are the user part of a URL (`user:password@`), the values of parameters such as
`password=..` or `token=..` in query, fragment or path, and long random path segments, which some
recorders use as access tokens. All of it also percent-encoded, and with characters in a password
that should have been encoded.
"""

import ipaddress
import re
from urllib.parse import unquote

MASK = "***"

_SECRET_NAMES = re.compile(
    r"us(e)?r|login|pass|pwd|psw|passwd|auth|token|streamid|secret|sign|cred|session|jwt|bearer"
    r"|kennwort|contrase|senha|(api|access|account|private|stream|app|auth|license)?key(id)?$"
    r"|^(pw|pin|mdp|code|sig|sid|[kups])$"
)
_HARMLESS_NAMES = frozenset({"userport", "design", "passive"})
_SCHEME = re.compile(r"(?:://|%3A%2F%2F|%253A%252F%252F)(?:/(?!/))?", re.IGNORECASE)
_AT = r"(?:@|%40|%2540)"
_USER_PART = re.compile(rf"^.*{_AT}", re.IGNORECASE | re.DOTALL)
_BEFORE_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*$")
_BARE_LOGIN = re.compile(r"^(//)?[^@\s:]*:[^\s].*@(?=[\w\[][^@]*$)", re.DOTALL)
_EQUALS = re.compile(r"=|%(?:25)?3D", re.IGNORECASE)
_SEPARATORS = re.compile(r"(?:[&;?/#,]|%(?:25)?(?:26|3B|3F|2F|23))+", re.IGNORECASE)
_COLON_PARAMETER = re.compile(
    r"""(?P<head>[?&;/{,]["']?(?P<name>[A-Za-z_-]+)["']?:)["']?[^&;/,}"']+""", re.IGNORECASE
)
_LOGIN_IN_PATH = re.compile(r"(?<=/)[^/@:\s]+:[^/@\s]+@")
_PORT = re.compile(r"\d{0,5}|PORT")  # also as our messages write it
_TOKEN = re.compile(
    r"(?<=[/=])(?:(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[A-Z])(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{16,}"
    r"|[0-9A-Fa-f]{32,}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|eyJ[\w.-]{16,})(?=[/?&#;.]|$)"
)
_URL = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]*(?:://|%3A%2F%2F)\S*[^\s\"'<>(),.;:]", re.IGNORECASE
)


def redact_url(url: str) -> str:
    """The URL with *** in place of its secrets. A path of a file without any stays as it is.

    Where it is unclear whether a part is secret, it is replaced: an `@` ends the user part wherever
    it stands, unless what comes before it is an IP address.
    """
    if "|" in url and _SCHEME.search(url):  # several sources in one text
        return "|".join(redact_url(part) for part in url.split("|"))
    if _is_local(url):
        return _redact_local(url)
    scheme = _SCHEME.search(url)
    if scheme is None:
        return _redact_parameters(_BARE_LOGIN.sub(rf"\g<1>{MASK}@", url))
    head, rest = url[: scheme.end()], url[scheme.end() :]
    if not _BEFORE_SCHEME.match(url[: scheme.start()]):  # such as admin:pw@proxy/?to=rtsp://cam
        head = _redact_parameters(_BARE_LOGIN.sub(rf"\g<1>{MASK}@", head))
    shown = _redact_parameters(_redact_user(rest))
    return head + _LOGIN_IN_PATH.sub(f"{MASK}@", _redact_tokens(_redact_colons(shown)))


def redact_text(text: str) -> str:
    """The text with every URL in it redacted. A URL ends at the next blank."""
    if "://" not in text and "%3" not in text:
        return text
    return _URL.sub(lambda found: redact_url(found[0]), text)


def _is_local(url: str) -> bool:
    url = url.lstrip().lower()
    return url.startswith(("file:", "world:", "dir:", "/", ".", "~")) and not url.startswith("//")


def _redact_local(url: str) -> str:
    """A path stays as it is, whatever its folders are called; of a URL, a login and secrets in its
    query are replaced.
    """
    scheme = _SCHEME.search(url)
    if scheme is None or not _BEFORE_SCHEME.match(url[: scheme.start()].lstrip()):
        return url
    start = url.index("://") + 3 if "://" in url else scheme.end()
    place, question_mark, query = url[start:].partition("?")
    authority, slash, path = place.partition("/")
    shown = _redact_user(authority) + slash + path
    return url[:start] + shown + question_mark + _redact_colons(_redact_parameters(query))


def _redact_user(rest: str) -> str:
    """Replace `user:password@`. `rest` is what follows `://`."""
    found = _USER_PART.match(rest)
    if found is None:
        return _redact_cut_login(rest)
    authority = re.split(r"[/?#]", found[0], maxsplit=1)[0]
    if authority == found[0] or re.search(_AT, authority):  # the usual form
        return f"{MASK}@{rest[found.end() :]}"
    if ":" not in authority or _is_address(authority):  # the '@' is part of the path
        return rest
    return f"{MASK}@{rest[found.end() :]}"


def _redact_cut_login(rest: str) -> str:
    """Replace `user:password` without a host, as of a URL that a shell has cut off at an `&`."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    name, _, port = authority.rpartition(":")
    if not name or authority.endswith("]") or _PORT.fullmatch(port):
        return rest
    return MASK + rest[len(authority) :]


def _is_address(authority: str) -> bool:
    host, _, port = authority.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return port.isdigit()


def _redact_parameters(text: str) -> str:
    """Replace the values of parameters with secret names.

    A value ends only where another name and an equals sign follow, because passwords may hold
    separators that should have been encoded.
    """
    shown, value_at, before, secret = "", 0, 0, False
    for equals in _EQUALS.finditer(text):
        ended, before = _end_of_value(text, before, equals.start()), equals.end()
        if ended is None:
            continue
        value_end, name_at = ended
        shown += _value(text[value_at:value_end], secret) + text[value_end : equals.end()]
        secret, value_at = _is_secret(text[name_at : equals.start()]), equals.end()
    return shown + _value(text[value_at:], secret)


def _end_of_value(text: str, before: int, equals_at: int) -> tuple[int, int] | None:
    """(end of the value, start of the next name), between the equals sign that ends at `before` and
    the one at `equals_at`; None if the latter is part of the value.
    """
    separators = list(_SEPARATORS.finditer(text, before, equals_at))
    if separators:
        return separators[-1].span()
    underscore = text.rfind("_", before, equals_at)  # /user=admin_password=secret_channel=1
    if before and underscore > 0:
        return underscore, underscore + 1
    return None if before else (0, 0)


def _value(value: str, secret: bool) -> str:
    return MASK if secret and value else value


def _is_secret(name: str) -> bool:
    name = re.sub(r"[^a-z0-9]", "", unquote(unquote(name)).lower())
    return name not in _HARMLESS_NAMES and _SECRET_NAMES.search(name) is not None


def _redact_colons(text: str) -> str:
    """Replace the values of parameters that are written `name:value`, as in JSON."""

    def replace(found: re.Match[str]) -> str:
        return found["head"] + MASK if _is_secret(found["name"]) else found[0]

    return _COLON_PARAMETER.sub(replace, text)


def _redact_tokens(text: str) -> str:
    return _TOKEN.sub(MASK, text)
