"""The demo's cameras and questions, and the YAML files of its site and its cloud."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster.certificates import Authority, KeyPair
from cluster.ports import free_port
from codecsight.config.site_config import stream_name

SITE = "demo"
OPERATOR = "operator"
QUESTIONS = (
    "Is there a person?",
    "How many people are there?",
    "Is there a car?",
)
# `plaza` and `garage` are scene families that are not in the training set.
WORLD_CAMERAS = {
    "yard": "world://yard?seed=901&fps=10&width=640&height=480&gop=30",
    "street": "world://street?seed=902&fps=15&width=640&height=480&gop=60&b_frames=2",
    "plaza": "world://plaza?seed=903&fps=10&width=640&height=480&gop=250",
}
GATE_URL = "world://garage?seed=904&fps=10&width=640&height=480&gop=20"
"""Source of the fourth camera, which is recorded to a file and served over RTSP."""

WORLD_STREAMS = {stream_name(SITE, name): url for name, url in WORLD_CAMERAS.items()}
"""Streams with known ground truth. Not the gate: its time starts when its client connects."""


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """Archive URL, and the environment variables that hold its keys (S3 only)."""

    url: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Files, addresses and keys from which the demo's processes are started."""

    folder: Path
    address: str
    cloud_file: Path
    site_file: Path
    cameras: tuple[str, ...]
    client: KeyPair
    ca: Path
    archive: ArchivePlan

    @property
    def roles(self) -> tuple[tuple[str, Path], ...]:
        """The processes in the order of their start, each with its configuration file."""
        return (("cloud", self.cloud_file), ("site", self.site_file))


def make_plan(
    folder: Path, archive: ArchivePlan, gate: dict[str, Any], model: str | None
) -> DemoPlan:
    """Write certificates, cloud.yaml and site.yaml under `folder`.

    `gate` is the configuration of the fourth camera: an RTSP URL, or a file if there is no server.
    """
    authority = Authority(folder / "tls")
    cloud = authority.issue("cloud", ["localhost", "127.0.0.1"])
    site = authority.issue(SITE, [SITE])
    operator = authority.issue(OPERATOR, [OPERATOR])
    address = f"127.0.0.1:{free_port()}"
    cameras: dict[str, Any] = {name: {"url": url} for name, url in WORLD_CAMERAS.items()}
    cameras["gate"] = gate
    cloud_yaml = {
        "listen": address,
        "tls": _tls(authority, cloud),
        "sites": [SITE],
        "operators": [OPERATOR],
        "model": model,
        "heartbeat_s": 1,
        "questions": list(QUESTIONS),
    }
    site_yaml = {
        "site": SITE,
        "cloud": {"address": address, "tls": _tls(authority, site)},
        "spool": str(folder / "spool"),
        "archive": _archive(archive),
        "cameras": {name: {"segment_s": 5, **camera} for name, camera in cameras.items()},
    }
    return DemoPlan(
        folder=folder,
        address=address,
        cloud_file=_write(folder / "cloud.yaml", cloud_yaml),
        site_file=_write(folder / "site.yaml", site_yaml),
        cameras=tuple(cameras),
        client=operator,
        ca=authority.ca,
        archive=archive,
    )


def _tls(authority: Authority, pair: KeyPair) -> dict[str, str]:
    return {"ca": str(authority.ca), "cert": str(pair.cert), "key": str(pair.key)}


def _archive(archive: ArchivePlan) -> dict[str, Any]:
    keys = {
        key: {"env": name}
        for key, name in zip(("access_key", "secret_key"), archive.environment, strict=False)
    }
    return {"url": archive.url, **keys}


def _write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
