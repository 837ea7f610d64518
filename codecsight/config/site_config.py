"""site.yaml: the cameras of one edge site, its spool, archive and uplink.

Example:

    site: yard-7
    cloud: {address: cloud.example.org:7443, tls: {ca: ca.pem, cert: c.pem, key: c.key}}
    spool: /var/lib/codecsight
    archive: {url: dir:/mnt/nas}
    cameras:
      gate: {url: rtsp://10.0.0.7/main}
"""

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
    """Range of the adaptive sampling rate, in frames per second.

    Fewer frames are sampled in quiet periods and more in busy ones; the average does not
    exceed the cloud's `sample_fps`.
    """

    min_fps: float = Field(gt=0)
    max_fps: float = Field(le=30)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_fps >= self.max_fps:
            raise ValueError("'min_fps' must be below 'max_fps'")
        return self


class CameraConfig(StrictModel):
    """One camera.

    `url` is an rtsp:// URL, a file or anything else PyAV opens; `loop` repeats a file. `policy` is
    the change policy that selects the cells to send; every `anchor_every`-th slot is an anchor
    (all cells). Patches are sent as JPEG of `jpeg_quality`. Segments of about `segment_s` seconds
    are recorded.
    """

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
    def _without_password(cls, url: str) -> str:
        if urlsplit(url).password:
            raise ValueError("contains a password; use 'username' and 'password' (env or file)")
        return url

    @field_validator("policy")
    @classmethod
    def _known_policy(cls, name: str) -> str:
        from codecsight.change.policies import POLICIES  # slow: imports numba

        if name not in POLICIES:
            raise ValueError(f"unknown change policy {name!r}; known: {', '.join(POLICIES)}")
        return name

    @model_validator(mode="after")
    def _complete_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("'username' and 'password' go together")
        return self

    def source_url(self, camera: str) -> str:
        """The URL with username and password. Contains secrets: do not log it.

        Raises ConfigError that names `camera` if a secret can't be read.
        """
        if self.username is None or self.password is None:
            return self.url
        parts = urlsplit(self.url)
        user = quote(self.username.read(f"camera {camera}: username"), safe="")
        password = quote(self.password.read(f"camera {camera}: password"), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))


class CloudEndpoint(StrictModel):
    """Address of the cloud's gateway, HOST:PORT. `tls` is required except on loopback."""

    address: Address
    tls: TlsConfig | None = None

    @model_validator(mode="after")
    def _tls_off_loopback(self) -> Self:
        if self.tls is None and not is_loopback(self.address):
            raise ValueError("needs 'tls' (ca, cert, key) unless the address is on loopback")
        return self


class SiteConfig(StrictModel):
    """One edge site.

    `spool` is the folder that holds segments until they are uploaded; its limit is divided evenly
    among the cameras.
    """

    site: Name
    cloud: CloudEndpoint
    spool: Path
    spool_limit_mb: int = Field(default=2048, ge=16)
    archive: ArchiveConfig
    cameras: dict[Name, CameraConfig] = Field(min_length=1)

    def read_secrets(self) -> None:
        """Check that every referenced secret and key file can be read. Raises ConfigError.

        These are the cameras' credentials, the archive's keys and the uplink's TLS files.
        """
        for name, camera in self.cameras.items():
            camera.source_url(name)
        self.archive.s3_keys()
        if self.cloud.tls is not None:
            self.cloud.tls.check("cloud.tls")


def stream_name(site: str, camera: str) -> str:
    """The stream's name everywhere, SITE.CAMERA. Neither part may contain a dot."""
    return f"{site}.{camera}"
