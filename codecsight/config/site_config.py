"""site.yaml: what one edge site watches, records and ships."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from codecsight.config.shared_sections import (
    Address,
    ArchiveConfig,
    Name,
    PositiveSeconds,
    SecretRef,
    StrictModel,
    TlsConfig,
    is_loopback,
)
from codecsight.core.slot import ANCHOR_EVERY


class AdaptiveSampling(StrictModel):
    """Samples per second between which the rate follows what happens; what a quiet time saves a
    busy one may spend.
    """

    min_fps: float = Field(gt=0)
    max_fps: float = Field(le=30)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_fps >= self.max_fps:
            raise ValueError("'min_fps' must be below 'max_fps'")
        return self


class CameraConfig(StrictModel):
    """One camera: where its stream is, how it is watched, and how it is recorded."""

    url: str
    username: SecretRef | None = None
    password: SecretRef | None = None
    transport: Literal["tcp", "udp"] = "tcp"
    loop: bool = False
    policy: str = "tracked"
    anchor_every: int = Field(default=ANCHOR_EVERY, ge=1, le=3600)
    sampling: AdaptiveSampling | None = None
    jpeg_quality: int = Field(default=90, ge=30, le=100)
    segment_s: PositiveSeconds = 10.0

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str) -> str:
        if urlsplit(url).password:
            raise ValueError("holds a password; use 'username' and 'password' (env or file)")
        return url

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, name: str) -> str:
        from codecsight.change.policies import POLICIES  # compiled loops: not for every command

        if name not in POLICIES:
            raise ValueError(f"no change policy is named {name!r}; known: {', '.join(POLICIES)}")
        return name

    @model_validator(mode="after")
    def _whole_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("'username' and 'password' go together")
        return self

    def source_url(self, camera: str) -> str:
        """The URL with its credentials filled in; never to be logged."""
        if self.username is None or self.password is None:
            return self.url
        parts = urlsplit(self.url)
        user = quote(self.username.read(f"camera {camera}: username"), safe="")
        word = quote(self.password.read(f"camera {camera}: password"), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{word}@{parts.netloc}"))


class CloudEndpoint(StrictModel):
    """Where the cloud is. Without `tls` only on this very machine."""

    address: Address
    tls: TlsConfig | None = None

    @model_validator(mode="after")
    def _no_plain_text_abroad(self) -> Self:
        if self.tls is None and not is_loopback(self.address):
            raise ValueError("needs 'tls' (ca, cert, key) unless the address is on loopback")
        return self


class SiteConfig(StrictModel):
    """A whole site."""

    site: Name
    cloud: CloudEndpoint
    spool: Path
    spool_limit_mb: int = Field(default=2048, ge=16)
    archive: ArchiveConfig
    cameras: dict[Name, CameraConfig] = Field(min_length=1)

    def read_secrets(self) -> None:
        """Look whether everything that is named but not held here can be read: the cameras'
        credentials, the archive's and the uplink's keys. Raises ConfigError.
        """
        for name, camera in self.cameras.items():
            camera.source_url(name)
        self.archive.s3_keys()
        if self.cloud.tls is not None:
            self.cloud.tls.check("cloud.tls")


def stream_name(site: str, camera: str) -> str:
    """The one name of a stream in archive, cloud and questions. Neither part may hold a dot."""
    return f"{site}.{camera}"
