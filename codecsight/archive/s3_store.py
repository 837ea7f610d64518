"""An S3 bucket as object store, through minio's client."""

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

from codecsight.archive.errors import ArchiveError
from codecsight.archive.store import (
    READ_BYTES,
    MissingObjectError,
    ObjectStore,
    StoredObject,
    validate_key,
    verify_checksum,
)
from codecsight.core.credentials import S3Keys

CONNECT_S = 5.0
READ_S = 30.0
PART_BYTES = 16 << 20

_REFUSED = {"SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied", "RequestTimeTooSkewed"}
_MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}


class S3Store(ObjectStore):
    """Objects in `bucket` of the server at `endpoint` (host:port), under `prefix`.

    S3 shows an object only when its upload is complete; parts of an upload that a killed process
    began stay invisible (let a lifecycle rule of the bucket abort them). Nothing is asked of the
    server before the first call.
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
        with self._server():
            self._client = Minio(
                endpoint=endpoint,
                access_key=keys.access_key,
                secret_key=keys.secret_key,
                secure=secure,
                region=region,
                http_client=_http(),
            )

    def put_file(self, key: str, path: Path, sha256: str) -> None:  # noqa: D102
        with path.open("rb") as file:
            verify_checksum(path, hashlib.file_digest(file, "sha256").hexdigest(), sha256)
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            with self._server():
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
        with self._server():
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=self._key(key),
                data=io.BytesIO(data),
                length=len(data),
                content_type="application/json",
            )

    def iter_content(self, key: str) -> Iterator[bytes]:  # noqa: D102
        with self._server(key):
            answer = self._client.get_object(bucket_name=self._bucket, object_name=self._key(key))
            try:
                yield from answer.stream(READ_BYTES)
            finally:
                answer.close()
                answer.release_conn()

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:  # noqa: D102
        with self._server():
            for found in self._client.list_objects(
                bucket_name=self._bucket, prefix=self._prefix + prefix, recursive=True
            ):
                name = (found.object_name or "").removeprefix(self._prefix)
                yield StoredObject(name, found.size or 0)

    def list_folders(self, prefix: str) -> list[str]:  # noqa: D102
        with self._server():
            found = self._client.list_objects(
                bucket_name=self._bucket, prefix=self._prefix + prefix, recursive=False
            )
            names = [one.object_name or "" for one in found if one.is_dir]
        return sorted(name.removeprefix(self._prefix + prefix).rstrip("/") for name in names)

    def size(self, key: str) -> int | None:  # noqa: D102
        try:
            with self._server(key):
                size: int = self._stat(key).size
        except MissingObjectError:
            return None
        return size

    def delete(self, key: str) -> None:  # noqa: D102
        with self._server():
            self._client.remove_object(bucket_name=self._bucket, object_name=self._key(key))

    def _key(self, key: str) -> str:
        return self._prefix + validate_key(key)

    def _stat(self, key: str) -> Object:
        return self._client.stat_object(bucket_name=self._bucket, object_name=self._key(key))

    def _check_arrived(self, key: str, size: int, sha256: str) -> None:
        """The transfer itself is checked by the protocol (signed hash, or Content-MD5 on TLS)."""
        with self._server(key):
            found = self._stat(key)
        told = {name.lower(): value for name, value in (found.metadata or {}).items()}
        if found.size != size or told.get("x-amz-meta-sha256") != sha256:
            raise ArchiveError(
                f"{self.name} took {key} but shows it otherwise ({found.size} of {size} bytes)"
            )

    @contextmanager
    def _server(self, key: str = "") -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            raise self._told(error, key) from error
        except InvalidResponseError as error:
            raise ArchiveError(f"{self.name} does not speak S3; check the endpoint") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ArchiveError(
                f"{self.name} cannot be reached ({_reason(error)}); is the server up, "
                "and the endpoint and its scheme right?"
            ) from error
        except (MinioException, ValueError) as error:
            raise ArchiveError(f"{self.name}: {error}") from error

    def _told(self, error: S3Error, key: str) -> ArchiveError:
        if error.code in _MISSING:
            return MissingObjectError(f"{self.name} has no {key}")
        if error.code == "NoSuchBucket":
            return ArchiveError(f"{self.name} does not exist: create it, or name another")
        if error.code in _REFUSED:
            return ArchiveError(
                f"{self.name} refuses us ({error.code}): check access key, secret key, what "
                "they may do, and this machine's clock"
            )
        return ArchiveError(f"{self.name}: {error.code}: {error.message}")


def _http() -> urllib3.PoolManager:
    """Bounded waits and few retries: whoever uploads has a patience of its own."""
    return urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
        maxsize=4,
        cert_reqs="CERT_REQUIRED",
        retries=urllib3.Retry(total=1, backoff_factor=0.2, status_forcelist=[502, 503, 504]),
    )


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error
    return str(inner).rpartition(": ")[2] or type(inner).__name__
