"""The demo's configuration files and the recording of its RTSP camera."""

from pathlib import Path

from cluster.demo.plan import GATE_URL, ArchivePlan, make_plan
from cluster.demo.rtsp_camera import record_to_file
from codecsight.config import CloudConfig, SiteConfig, load_config
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source


def test_site_and_cloud_files_are_valid_and_match(tmp_path: Path) -> None:
    archive = ArchivePlan("s3://video?endpoint=127.0.0.1:1", {"ACCESS": "a", "SECRET": "s"})
    plan = make_plan(tmp_path, archive, {"url": "rtsp://127.0.0.1:1/x"}, model=None)
    site = load_config(plan.site_file, SiteConfig)
    cloud = load_config(plan.cloud_file, CloudConfig)
    assert site.cloud.address == cloud.listen
    assert site.site in cloud.sites
    assert len(site.cameras) == 4
    assert site.archive.access_key is not None
    assert site.archive.access_key.env == "ACCESS"
    assert "secret" not in plan.site_file.read_text().replace("secret_key", "")


def test_the_gates_recording_contains_every_packet(tmp_path: Path) -> None:
    record_to_file(f"{GATE_URL}&seconds=3", tmp_path / "gate.mkv")
    info, *items = open_source(str(tmp_path / "gate.mkv")).items()
    assert isinstance(info, StreamInfo)
    packets = [item for item in items if isinstance(item, Packet)]
    assert len(packets) == 30
    assert packets[0].keyframe
