"""Sections and types shared by site.yaml and cloud.yaml."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from codecsight.config.loader import ConfigError
from codecsight.core.credentials import S3Keys

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^\s:]+:\d{1,5}$")]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]


class StrictModel(BaseModel):
    """A section that rejects unknown keys, so that a misspelt key is never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretRef(StrictModel):
    """Reference to a secret: `env: NAME` or `file: PATH`. Never the secret itself."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("set exactly one of 'env' and 'file'")
        return self

    def read(self, what: str) -> str:
        """Return the secret. Raises ConfigError that names the key `what` and the empty source."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            source = f"the environment variable {self.env}"
        else:
            assert self.file is not None  # noqa: S101 - checked by the validator
            source = f"the file {self.file}"
            try:
                value = self.file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{what}: {source} can't be read: {error}") from error
        if not value:
            raise ConfigError(f"{what}: {source} is empty or not set")
        return value


class TlsConfig(StrictModel):
    """Mutual TLS (PEM files): the CA that both sides trust, and our certificate and key."""

    ca: Path
    cert: Path
    key: Path

    def check(self, what: str) -> None:
        """Raise ConfigError if a file can't be read, naming the section `what` and the file."""
        for name, path in (("ca", self.ca), ("cert", self.cert), ("key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(
                    f"{what}.{name}: {path} can't be read: {error.strerror}"
                ) from error


def is_loopback(address: str) -> bool:
    """Whether `host:port` is on this machine's loopback interface."""
    host = address.rsplit(":", 1)[0]
    return host == "localhost" or host.startswith("127.")


class ArchiveConfig(StrictModel):
    """Object store for segments: `dir:/path`, or `s3://bucket/prefix?endpoint=host:port`."""

    url: str
    access_key: SecretRef | None = None
    secret_key: SecretRef | None = None

    @model_validator(mode="after")
    def _s3_has_keys(self) -> Self:
        if self.url.startswith("s3:") and not (self.access_key and self.secret_key):
            raise ValueError("an S3 archive needs 'access_key' and 'secret_key'")
        return self

    def s3_keys(self) -> S3Keys | None:
        """Read the S3 keys; None for a folder. Raises ConfigError."""
        if self.access_key is None or self.secret_key is None:
            return None
        return S3Keys(
            self.access_key.read("archive.access_key"), self.secret_key.read("archive.secret_key")
        )
