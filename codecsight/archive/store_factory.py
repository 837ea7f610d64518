"""Creation of an object store from an archive URL."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.errors import ArchiveError
from codecsight.archive.s3_store import S3Store
from codecsight.archive.store import ObjectStore
from codecsight.core.credentials import S3Keys

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_OPTIONS = {"endpoint", "region"}


def open_store(url: str, keys: S3Keys | None = None, *, create: bool = True) -> ObjectStore:
    """The store at `dir:/path`, a plain path, or `s3://bucket/prefix?endpoint=host:port`.

    The endpoint may start with http:// or https://; the default is https, and http on loopback.
    `&region=NAME` sets the S3 region. S3 requires `keys`. Without `create` a folder must exist
    already. Raises ArchiveError.
    """
    if not url.startswith("s3:"):
        path = url.removeprefix("dir:")
        if not path or "://" in path:
            raise ArchiveError(
                f"{url!r} is not an archive URL: use dir:/path or s3://bucket?endpoint=host:port"
            )
        return DirectoryStore(Path(path).expanduser().absolute(), create=create)
    if keys is None:
        raise ArchiveError(f"{_redacted(url)}: an S3 archive needs an access key and a secret key")
    return _open_s3(url, keys)


def _open_s3(url: str, keys: S3Keys) -> S3Store:
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(options.keys() - _OPTIONS)
    endpoint = options.get("endpoint", "")
    if parts.username or unknown or not parts.netloc or not endpoint:
        raise ArchiveError(
            f"{_redacted(url)}: an S3 archive URL is s3://bucket/prefix?endpoint=host:port"
            + (f"; unknown option {unknown[0]!r}" if unknown else ", without keys in it")
        )
    server = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    scheme = server.scheme or ("http" if server.hostname in _LOOPBACK else "https")
    return S3Store(
        server.netloc,
        parts.netloc,
        keys,
        prefix=parts.path,
        secure=scheme == "https",
        region=options.get("region"),
    )


def _redacted(url: str) -> str:
    """The URL without user and password, for messages."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
