"""Object store in an S3 bucket, through the minio client."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import InvalidResponseError, MinioException, S3Error

from codecsight.archive.errors import ArchiveError, MissingObjectError
from codecsight.archive.store import (
    READ_BYTES,
    ObjectStore,
    StoredObject,
    read_blocks,
    validate_key,
    verify_checksum,
)
from codecsight.core.urls.credentials import S3Keys

CONNECT_S = 5.0
READ_S = 30.0
PART_BYTES = 16 << 20
MAX_CONNECTIONS = 8
"""Connections kept open; more than the uploads at the same time."""

_DENIED = {"SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied", "RequestTimeTooSkewed"}
_MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}


class S3Store(ObjectStore):
    """Objects in `bucket` of the server at `endpoint` (host:port), under `prefix`.

    S3 lists an object only when its upload is complete; the parts of an upload that a killed
    process started are never listed (use a lifecycle rule of the bucket to abort them). The
    constructor does not contact the server.
    """

    def __init__(
        self,
        endpoint: str,
        bucket: str,
        keys: S3Keys,
        *,
        prefix: str = "",
        secure: bool = True,
        region: str | None = None,
    ) -> None:
        self.name = f"bucket {bucket} at {endpoint}"
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        with self._server_errors():
            self._client = Minio(
                endpoint=endpoint,
                access_key=keys.access_key,
                secret_key=keys.secret_key,
                secure=secure,
                region=region,
                http_client=_http(),
            )

    def put_file(self, key: str, path: Path, sha256: str) -> None:  # noqa: D102
        digest = hashlib.sha256()
        for data in read_blocks(path):
            digest.update(data)
        verify_checksum(path, digest.hexdigest(), sha256)
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            with self._server_errors():
                self._client.put_object(
                    bucket_name=self._bucket,
                    object_name=self._key(key),
                    data=file,
                    length=size,
                    content_type="video/x-matroska",
                    metadata={"sha256": sha256},
                    part_size=PART_BYTES,
                    num_parallel_uploads=1,
                )
        self._check_arrived(key, size, sha256)

    def put_bytes(self, key: str, data: bytes) -> None:  # noqa: D102
        with self._server_errors():
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=self._key(key),
                data=io.BytesIO(data),
                length=len(data),
                content_type="application/json",
            )

    def iter_content(self, key: str) -> Iterator[bytes]:  # noqa: D102
        with self._server_errors(key):
            response = self._client.get_object(bucket_name=self._bucket, object_name=self._key(key))
            try:
                yield from response.stream(READ_BYTES)
            finally:
                response.close()
                response.release_conn()

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:  # noqa: D102
        with self._server_errors():
            for found in self._client.list_objects(
                bucket_name=self._bucket, prefix=self._prefix + prefix, recursive=True
            ):
                name = (found.object_name or "").removeprefix(self._prefix)
                yield StoredObject(name, found.size or 0)

    def list_folders(self, prefix: str) -> list[str]:  # noqa: D102
        with self._server_errors():
            found = self._client.list_objects(
                bucket_name=self._bucket, prefix=self._prefix + prefix, recursive=False
            )
            names = [entry.object_name or "" for entry in found if entry.is_dir]
        return sorted(name.removeprefix(self._prefix + prefix).rstrip("/") for name in names)

    def size(self, key: str) -> int | None:  # noqa: D102
        try:
            with self._server_errors(key):
                size: int = self._stat(key).size
        except MissingObjectError:
            return None
        return size

    def delete(self, key: str) -> None:  # noqa: D102
        with self._server_errors():
            self._client.remove_object(bucket_name=self._bucket, object_name=self._key(key))

    def _key(self, key: str) -> str:
        return self._prefix + validate_key(key)

    def _stat(self, key: str) -> Object:
        return self._client.stat_object(bucket_name=self._bucket, object_name=self._key(key))

    def _check_arrived(self, key: str, size: int, sha256: str) -> None:
        """Compare size and checksum as the server reports them.

        The protocol verifies the transfer itself (signed hash, or Content-MD5 over TLS).
        """
        with self._server_errors(key):
            found = self._stat(key)
        metadata = {name.lower(): value for name, value in (found.metadata or {}).items()}
        if found.size != size or metadata.get("x-amz-meta-sha256") != sha256:
            raise ArchiveError(
                f"{self.name} accepted {key} but stores other content "
                f"({found.size} of {size} bytes)"
            )

    @contextmanager
    def _server_errors(self, key: str = "") -> Iterator[None]:
        """Turn any client error of the block into an ArchiveError that names the bucket."""
        try:
            yield
        except S3Error as error:
            raise self._archive_error(error, key) from error
        except InvalidResponseError as error:
            raise ArchiveError(f"{self.name} is not an S3 server; check the endpoint") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ArchiveError(
                f"{self.name} cannot be reached ({_reason(error)}); check that the "
                "server runs, and the endpoint and its scheme"
            ) from error
        except (MinioException, ValueError) as error:
            raise ArchiveError(f"{self.name}: {error}") from error

    def _archive_error(self, error: S3Error, key: str) -> ArchiveError:
        if error.code in _MISSING:
            return MissingObjectError(f"{self.name} has no {key}")
        if error.code == "NoSuchBucket":
            return ArchiveError(f"{self.name} does not exist: create it or name another")
        if error.code in _DENIED:
            return ArchiveError(
                f"{self.name} denied access ({error.code}): check access key, secret key, their "
                "permissions, and this machine's clock"
            )
        return ArchiveError(f"{self.name}: {error.code}: {error.message}")


def _http() -> urllib3.PoolManager:
    """HTTP pool with short timeouts and one retry: the uploader does its own retrying."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
        maxsize=MAX_CONNECTIONS,
        cert_reqs="CERT_REQUIRED",
        retries=urllib3.Retry(total=1, backoff_factor=0.2, status_forcelist=[502, 503, 504]),
    )


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    return str(inner).rpartition(": ")[2] or type(inner).__name__
