"""Sections and types shared by site.yaml and cloud.yaml."""

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codecsight.config.loader import ConfigError
from codecsight.core.credentials import S3Keys

Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", json_schema_extra={"format": "name"}),
]
"""1 to 63 letters, digits, `_` and `-`, the first one a letter or digit."""
Address = Annotated[
    str, Field(pattern=r"^[^\s:]+:\d{1,5}$", json_schema_extra={"format": "HOST:PORT"})
]
PositiveSeconds = Annotated[float, Field(gt=0, le=86400)]


class StrictModel(BaseModel):
    """A section that rejects unknown keys, so that a misspelt key is never ignored.

    The string under a field is its description, and `examples` holds a value for the complete
    example file; a field without one is shown there with its default. `codecsight.config.reference`
    generates docs/configuration.md from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class SecretRef(StrictModel, title="secret"):
    """Reference to a secret: either `env` or `file`. Never the secret itself."""

    env: str | None = Field(default=None, examples=["CAMERA_PASSWORD"])
    """Name of the environment variable that holds the secret."""
    file: Path | None = Field(default=None, examples=["/run/secrets/camera"])
    """File that holds the secret. White space around it is removed."""

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


class TlsConfig(StrictModel, title="TLS"):
    """Mutual TLS: the CA that both sides trust, and our certificate and key."""

    ca: Path = Field(examples=["ca.pem"])
    """PEM file with the certificate of the CA that both sides trust."""
    cert: Path = Field(examples=["cert.pem"])
    """PEM file with our own certificate. A site's certificate is issued for the site's name."""
    key: Path = Field(examples=["key.pem"])
    """PEM file with the private key of `cert`."""

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


class ArchiveConfig(StrictModel, title="archive"):
    """Object store for recorded segments: a folder or an S3 bucket."""

    url: str = Field(examples=["s3://video/yard-7?endpoint=s3.example.org"])
    """A folder as `dir:/path`, or `s3://BUCKET/PREFIX?endpoint=HOST:PORT`, optionally with
    `&region=NAME`. The endpoint is reached over https unless it is on loopback or starts with
    http://."""
    access_key: SecretRef | None = Field(default=None, examples=[{"env": "S3_ACCESS_KEY"}])
    """S3 access key. S3 needs both keys; a folder needs none."""
    secret_key: SecretRef | None = Field(default=None, examples=[{"file": "/run/secrets/s3"}])
    """S3 secret key."""

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
