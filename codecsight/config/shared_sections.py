"""Sections and types shared by site.yaml and cloud.yaml."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from codecsight.config.errors import ConfigError, raise_all
from codecsight.core.errors import CodecSightError
from codecsight.core.names import NAME_PATTERN
from codecsight.core.urls.address import is_loopback, parse_address
from codecsight.core.urls.archive_url import S3Location, parse_archive_url
from codecsight.core.urls.credentials import S3Keys

Name = Annotated[
    str,
    Field(pattern=f"^{NAME_PATTERN}$", json_schema_extra={"format": "name"}),
]
"""1 to 63 letters, digits, `_` and `-`, the first one a letter or digit."""


def _valid_address(text: str) -> str:
    try:
        parse_address(text)
    except CodecSightError as error:
        raise ValueError(str(error)) from error
    return text


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: the home folder of '~' is unknown") from error


Address = Annotated[
    str, AfterValidator(_valid_address), Field(json_schema_extra={"format": "HOST:PORT"})
]
"""`HOST:PORT`; an IPv6 address is in brackets."""
FilePath = Annotated[Path, AfterValidator(_expand_home)]
"""A path; `~` is the home folder."""
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
    file: FilePath | None = Field(default=None, examples=["/run/secrets/camera"])
    """UTF-8 file that holds the secret. White space around it is removed."""

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
                value = self.file.read_text(encoding="utf-8-sig").strip()
            except OSError as error:
                raise ConfigError(f"{what}: {source} can't be read: {error.strerror}") from error
            except UnicodeDecodeError as error:
                raise ConfigError(f"{what}: {source} is not UTF-8 text") from error
        if not value:
            raise ConfigError(f"{what}: {source} is empty or not set")
        return value


class TlsConfig(StrictModel, title="TLS"):
    """Mutual TLS: the CA that both sides trust, and our certificate and key."""

    ca: FilePath = Field(examples=["ca.pem"])
    """PEM file with the certificate of the CA that both sides trust."""
    cert: FilePath = Field(examples=["cert.pem"])
    """PEM file with our own certificate. A site's certificate is issued for the site's name."""
    key: FilePath = Field(examples=["key.pem"])
    """PEM file with the private key of `cert`."""

    def check(self, what: str) -> None:
        """Raise ConfigError if files can't be read, naming the section `what` and each file."""
        files = {"ca": self.ca, "cert": self.cert, "key": self.key}
        raise_all(partial(_check_readable, f"{what}.{name}", path) for name, path in files.items())


def _check_readable(what: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{what}: {path} can't be read: {error.strerror}") from error


def needs_tls(address: str) -> bool:
    """Whether an Address is not on this machine's loopback interface."""
    return not is_loopback(parse_address(address).host)


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
        has_keys = self.access_key is not None and self.secret_key is not None
        if isinstance(_archive_location(self.url), S3Location) and not has_keys:
            raise ValueError("an S3 archive needs 'access_key' and 'secret_key'")
        return self

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        _archive_location(url)
        return url

    def s3_keys(self) -> S3Keys | None:
        """Read the S3 keys; None for a folder. Raises ConfigError."""
        if self.access_key is None or self.secret_key is None:
            return None
        return S3Keys(
            self.access_key.read("archive.access_key"), self.secret_key.read("archive.secret_key")
        )

    def secrets(self) -> dict[str, SecretRef]:
        """The secrets that the section refers to, by their keys in the file."""
        found = {"archive.access_key": self.access_key, "archive.secret_key": self.secret_key}
        return {key: secret for key, secret in found.items() if secret is not None}


def _archive_location(url: str) -> Path | S3Location:
    try:
        return parse_archive_url(url)
    except CodecSightError as error:
        raise ValueError(str(error)) from error
