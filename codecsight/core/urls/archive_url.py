"""URLs of archives: a folder (`dir:/path` or a plain path) or an S3 bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.address import is_loopback
from codecsight.core.urls.redaction import redact_url

_OPTIONS = {"endpoint", "region"}
_S3_FORM = "an S3 archive URL is s3://BUCKET/PREFIX?endpoint=HOST:PORT"
_FORMS = "use dir:/PATH or s3://BUCKET/PREFIX?endpoint=HOST:PORT"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket at an S3 server: `endpoint` is host or host:port, reached over https if `secure`.
    `region` None means the server's default.
    """

    endpoint: str
    bucket: str
    prefix: str
    secure: bool
    region: str | None


def parse_archive_url(url: str) -> Path | S3Location:
    """The absolute folder of `dir:/path` or a path (`~` is the home folder), or the location of
    `s3://BUCKET/PREFIX?endpoint=HOST:PORT[&region=NAME]`. The endpoint may begin with http:// or
    https://; the default is https, and http on loopback. Raises CodecSightError.
    """
    if url.lower().startswith("s3:"):
        return _parse_s3(url)
    scheme = _SCHEME.match(url)
    if scheme and scheme[0].lower() != "dir:":
        raise CodecSightError(f"unknown archive scheme {scheme[0]!r}: {_FORMS}")
    path = url[len("dir:") :] if scheme else url
    if not path.strip():
        raise CodecSightError(f"the archive URL names no folder: {_FORMS}")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:
        raise CodecSightError(f"{path}: the home folder of '~' is unknown") from error


def _parse_s3(url: str) -> S3Location:
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if "@" in url or ":" in parts.netloc:  # first, so that no message below shows a key
        raise CodecSightError(f"{_S3_FORM}, without keys in it")
    if unknown := sorted(options.keys() - _OPTIONS):
        raise CodecSightError(f"unknown option {unknown[0]!r}: {_S3_FORM}")
    if not parts.netloc or not options.get("endpoint"):
        missing = "endpoint" if parts.netloc else "bucket"
        raise CodecSightError(f"the {missing} is missing: {_S3_FORM}")
    if not _BUCKET.fullmatch(parts.netloc):
        raise CodecSightError(
            f"{parts.netloc!r} is not the name of a bucket: 3 to 63 lower-case letters, digits, "
            "'.' and '-'"
        )
    endpoint, secure = _endpoint(options["endpoint"])
    return S3Location(endpoint, parts.netloc, parts.path.strip("/"), secure, options.get("region"))


def _endpoint(text: str) -> tuple[str, bool]:
    """HOST or HOST:PORT of the S3 server, and whether it is reached over https."""
    server = urlsplit(text if "://" in text else f"//{text}")
    try:
        valid = bool(server.hostname) and (server.port is None or server.port > 0)
    except ValueError:  # a port that is not a number, or too large
        valid = False
    if not valid or server.scheme not in ("", "http", "https") or server.path.strip("/"):
        raise CodecSightError(f"the endpoint {redact_url(text)!r} is not HOST:PORT: {_S3_FORM}")
    default = "http" if is_loopback(server.hostname or "") else "https"
    return server.netloc, (server.scheme or default) == "https"
