"""Creation of an object store from an archive URL."""

from pathlib import Path

from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.errors import ArchiveError
from codecsight.archive.s3_store import S3Store
from codecsight.archive.store import ObjectStore
from codecsight.core.errors import CodecSightError
from codecsight.core.urls.archive_url import parse_archive_url
from codecsight.core.urls.credentials import S3Keys


def open_store(url: str, keys: S3Keys | None = None, *, create: bool = True) -> ObjectStore:
    """The store at an archive URL, see `parse_archive_url`. S3 requires `keys`. Without `create` a
    folder must exist already. Raises ArchiveError.
    """
    try:
        location = parse_archive_url(url)
    except CodecSightError as error:
        raise ArchiveError(str(error)) from error
    if isinstance(location, Path):
        return DirectoryStore(location, create=create)
    if keys is None:
        raise ArchiveError(
            f"bucket {location.bucket}: an S3 archive needs an access key and a secret key"
        )
    return S3Store(
        location.endpoint,
        location.bucket,
        keys,
        prefix=location.prefix,
        secure=location.secure,
        region=location.region,
    )
