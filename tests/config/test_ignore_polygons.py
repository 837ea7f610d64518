"""`ignore` of a camera: polygons in relative coordinates."""

from pathlib import Path

import pytest

from codecsight.config import ConfigError, SiteConfig, load_config

SITE = """\
site: yard
cloud: {address: "127.0.0.1:7443"}
spool: /tmp/spool
archive: {url: "dir:/tmp/archive"}
cameras:
  gate:
    url: rtsp://10.0.0.7/main
"""


def _load(tmp_path: Path, line: str) -> SiteConfig:
    path = tmp_path / "site.yaml"
    path.write_text(SITE + f"    {line}\n")
    return load_config(path, SiteConfig)


def test_polygons_are_read_and_default_to_none(tmp_path: Path) -> None:
    config = _load(
        tmp_path,
        "ignore: [[[0, 0], [0.4, 0], [0.4, 0.08], [0, 0.08]], [[0.5, 0.5], [1, 1], [0, 1]]]",
    )
    first, second = config.cameras["gate"].ignore
    assert first == [(0, 0), (0.4, 0), (0.4, 0.08), (0, 0.08)]
    assert len(second) == 3
    assert _load(tmp_path, "segment_s: 5").cameras["gate"].ignore == []


@pytest.mark.parametrize(
    "polygons",
    ["[[[0, 0], [1, 1]]]", "[[[0, 0], [640, 0], [640, 40]]]", "[[0, 0], [1, 0], [1, 1]]", "clock"],
)
def test_a_wrong_polygon_is_reported_with_line_and_key(tmp_path: Path, polygons: str) -> None:
    with pytest.raises(ConfigError, match=r"site\.yaml:8.*ignore"):
        _load(tmp_path, f"ignore: {polygons}")
