"""site.yaml: the cameras of one edge site, its spool, archive and uplink.

Example:

    site: yard-7
    cloud: {address: cloud.example.org:7443, tls: {ca: ca.pem, cert: c.pem, key: c.key}}
    spool: /var/lib/codecsight
    archive: {url: dir:/mnt/nas}
    cameras:
      gate: {url: rtsp://10.0.0.7/main}
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from codecsight.config.errors import raise_all
from codecsight.config.shared_sections import (
    Address,
    ArchiveConfig,
    FilePath,
    Name,
    PositiveSeconds,
    SecretRef,
    StrictModel,
    TlsConfig,
    needs_tls,
)
from codecsight.core.errors import CodecSightError
from codecsight.core.slot import ANCHOR_EVERY
from codecsight.core.urls.redaction import MASK, redact_url
from codecsight.core.urls.source_url import check_source_url

Share = Annotated[float, Field(ge=0, le=1)]
Polygon = Annotated[list[tuple[Share, Share]], Field(min_length=3)]


class AdaptiveSampling(StrictModel, title="adaptive sampling"):
    """Range of the adaptive sampling rate, in frames per second.

    Fewer frames are sampled in quiet periods and more in busy ones; the average does not
    exceed the cloud's `sample_fps`.
    """

    min_fps: float = Field(gt=0, examples=[0.5])
    """Lowest rate, in frames per second, reached in quiet periods."""
    max_fps: float = Field(le=30, examples=[4.0])
    """Highest rate, in frames per second, reached in busy periods. Must be above `min_fps`."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_fps >= self.max_fps:
            raise ValueError("'min_fps' must be below 'max_fps'")
        return self


class CameraConfig(StrictModel, title="camera"):
    """One camera: where its video comes from, what is sent to the cloud and what is recorded."""

    url: str = Field(examples=["rtsp://10.0.0.7/main"])
    """An rtsp:// URL, the path of a file, a procedural camera (`world://NAME?seed=N`), or anything
    else that PyAV opens. Must not contain a password."""
    username: SecretRef | None = Field(default=None, examples=[{"env": "CAMERA_USER"}])
    """Username at the camera. Needs `password`."""
    password: SecretRef | None = Field(default=None, examples=[{"env": "CAMERA_PASSWORD"}])
    """Password at the camera. Needs `username`."""
    transport: Literal["tcp", "udp"] = "tcp"
    """Transport of RTSP media. TCP loses no packets; UDP is for cameras that offer nothing else."""
    loop: bool = False
    """Whether a file starts again at its end."""
    policy: str = "tracked"
    """Change policy that selects the cells to send: `tracked` (codec signals checked against the
    pixels), or for comparison `published`, `pixels`, `everything` or `random`."""
    anchor_every: int = Field(default=ANCHOR_EVERY, ge=1, le=3600)
    """Slots from one anchor, which holds every cell, to the next. 1 sends every cell of every
    slot."""
    sampling: AdaptiveSampling | None = None
    """Range of an adaptive sampling rate. Without it, the rate is always the cloud's
    `sample_fps`."""
    ignore: list[Polygon] = Field(
        default=[], examples=[[[[0, 0], [0.4, 0], [0.4, 0.08], [0, 0.08]]]]
    )
    """Places whose changes are ignored, such as a clock that the camera writes into the picture:
    polygons of at least three points [x, y], from [0, 0] in the upper left corner of the picture to
    [1, 1] in the lower right one. Recordings are not affected."""
    jpeg_quality: int = Field(default=90, ge=30, le=100)
    """Quality of the JPEG pictures in which cells are sent. A higher one takes more bytes."""
    audio: bool = False
    """Whether sound is recorded with the video. In many places that is illegal without the consent
    of those who are heard."""
    segment_s: PositiveSeconds = 10.0
    """Length of a recorded segment in seconds. It ends at the first key frame after that time."""

    procedural: bool = False
    """Whether the camera shows the procedural world, as the demo's RTSP camera does; `world://`
    cameras always do. The built-in model knows nothing else, and the cloud warns about others."""

    @property
    def is_procedural(self) -> bool:
        """Whether the camera is known to show the procedural world."""
        return self.procedural or self.url.lower().startswith("world://")

    @field_validator("url")
    @classmethod
    def _without_password(cls, url: str) -> str:
        _, _, password = url.rpartition("@")[0].partition("//")[2].partition(":")
        if f"{MASK}@" in redact_url(url) and password:
            raise ValueError("contains a password; use 'username' and 'password' (env or file)")
        return url

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        try:
            check_source_url(url)
        except CodecSightError as error:
            raise ValueError(str(error)) from error
        return url.strip()

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
        user = quote(self.username.read(f"cameras.{camera}.username"), safe="")
        password = quote(self.password.read(f"cameras.{camera}.password"), safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))

    def secrets(self, camera: str) -> dict[str, SecretRef]:
        """The secrets of the camera called `camera`, by their keys in the file."""
        found = {"username": self.username, "password": self.password}
        return {
            f"cameras.{camera}.{key}": secret for key, secret in found.items() if secret is not None
        }


class CloudEndpoint(StrictModel, title="cloud"):
    """The cloud's gateway, to which the site opens its one connection."""

    address: Address = Field(examples=["cloud.example.org:7443"])
    """Address of the gateway."""
    tls: TlsConfig | None = None
    """Mutual TLS with the cloud. Required unless `address` is on loopback."""

    @model_validator(mode="after")
    def _tls_off_loopback(self) -> Self:
        if self.tls is None and needs_tls(self.address):
            raise ValueError("needs 'tls' (ca, cert, key) unless the address is on loopback")
        return self


class SiteConfig(StrictModel, title="site.yaml"):
    """One edge site: its cameras, its spool, its archive and the cloud that it connects to."""

    site: Name = Field(examples=["yard-7"])
    """Name of the site. The cloud must list it under `sites`, and the certificate under
    `cloud.tls` is issued for it."""
    cloud: CloudEndpoint
    """The cloud that answers questions about the cameras."""
    spool: FilePath = Field(examples=["/var/lib/codecsight"])
    """Folder on the local disk that holds recorded segments until they are uploaded."""
    spool_limit_mb: int = Field(default=2048, ge=16)
    """Largest size of the spool in MiB, divided evenly among the cameras. A camera's oldest
    segments are deleted when its share is full."""
    archive: ArchiveConfig
    """Object store that recorded segments are uploaded to."""
    cameras: dict[Name, CameraConfig] = Field(
        min_length=1, json_schema_extra={"example_key": "gate"}
    )
    """The cameras by name. A camera's stream is called SITE.CAMERA everywhere, such as
    `yard-7.gate`."""

    def read_secrets(self) -> None:
        """Check that every referenced secret and key file can be read. Raises ConfigError with a
        line for each that can't.

        These are the cameras' credentials, the archive's keys and the uplink's TLS files.
        """
        checks: list[Callable[[], object]] = []
        checks += [partial(secret.read, what) for what, secret in self._secrets().items()]
        if self.cloud.tls is not None:
            checks.append(partial(self.cloud.tls.check, "cloud.tls"))
        raise_all(checks)

    def secret_variables(self) -> frozenset[str]:
        """Names of the environment variables that hold secrets. No process needs all of them."""
        return frozenset(secret.env for secret in self._secrets().values() if secret.env)

    def _secrets(self) -> dict[str, SecretRef]:
        secrets = self.archive.secrets()
        for name, camera in self.cameras.items():
            secrets |= camera.secrets(name)
        return secrets


def stream_name(site: str, camera: str) -> str:
    """The stream's name everywhere, SITE.CAMERA. Neither part may contain a dot."""
    return f"{site}.{camera}"
