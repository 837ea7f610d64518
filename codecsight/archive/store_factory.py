"""From an archive's URL to its store."""

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

    The endpoint may say http:// or https://; without, it is https, except on this machine itself.
    `&region=` where the server wants one. `keys` are needed for S3. Without `create` a folder must
    be there. Raises ArchiveError.
    """
    if not url.startswith("s3:"):
        path = url.removeprefix("dir:")
        if not path or "://" in path:
            raise ArchiveError(f"{url!r} is no archive: give dir:/path or s3://bucket?endpoint=..")
        return DirectoryStore(Path(path).expanduser().absolute(), create=create)
    if keys is None:
        raise ArchiveError(f"{_shown(url)}: an S3 archive needs an access key and a secret key")
    return _open_s3(url, keys)


def _open_s3(url: str, keys: S3Keys) -> S3Store:
    parts = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    strange = sorted(options.keys() - _OPTIONS)
    endpoint = options.get("endpoint", "")
    if parts.username or strange or not parts.netloc or not endpoint:
        raise ArchiveError(
            f"{_shown(url)}: an S3 archive is s3://bucket/prefix?endpoint=host:port, and "
            + (f"knows no {strange[0]!r}" if strange else "holds no keys itself")
        )
    where = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    scheme = where.scheme or ("http" if where.hostname in _LOOPBACK else "https")
    return S3Store(
        where.netloc,
        parts.netloc,
        keys,
        prefix=parts.path,
        secure=scheme == "https",
        region=options.get("region"),
    )


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
