"""`codecsight clip`: where archive, keys and spool come from, and what is printed."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cluster.s3_server import S3Server
from codecsight.archive.store_factory import open_store
from codecsight.archive.upload.uploader import Uploader
from codecsight.cli.app import app
from codecsight.core.errors import CodecSightError
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.recording.recorder import Recorder
from tests.small_disk import small_disk

START = 1_795_424_400.0
RANGE = ["--from", "1795424400000", "--to", "2026-11-23T09:01:00Z"]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """2 s of yard.gate, recorded and not uploaded."""
    encoder = CameraEncoder(96, 64, 10.0, EncoderProfile(gop=10))
    recorder = Recorder(tmp_path / "spool", "yard.gate", 60.0)
    recorder.write(encoder.info)
    for index in range(20):
        picture = np.full((64, 96, 3), 90 + index, np.uint8)
        for packet in encoder.encode(picture, index / 10, START + index / 10):
            recorder.write(packet)
    recorder.close()
    return tmp_path / "spool"


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION",
                 "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


def clip(*arguments: str) -> Result:
    command = ["clip", "yard.gate", *RANGE, *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def site_yaml(folder: Path, spool: Path, archive: str) -> str:
    (folder / "site.yaml").write_text(
        f"site: yard\ncloud: {{address: '127.0.0.1:1'}}\nspool: {spool}\n"
        f"archive: {archive}\ncameras: {{gate: {{url: 'world://yard'}}}}\n"
    )
    return str(folder / "site.yaml")


def count(path: Path) -> int:
    with av.open(f"file:{path}") as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_site_file_gives_archive_and_spool(spool: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    config = site_yaml(tmp_path, spool, f"{{url: 'dir:{tmp_path}/archive'}}")
    out = tmp_path / "gate:1 [a].mp4"
    done = clip("-c", config, "-o", str(out))
    assert done.exit_code == 0, done.output
    first, missing = done.stdout.splitlines()
    assert first.startswith(f"{out}: 1.9 s from 2026-11-23T")
    assert missing.startswith("missing: 58.0 s from 2026-11-23T")
    assert count(out) == 20
    row = json.loads(clip("-c", config, "-o", str(out), "--json").stdout)
    assert (row["path"], row["more_paths"], row["packets"]) == (str(out), [], 20)
    assert row["gaps"][0]["end"] - row["gaps"][0]["start"] == pytest.approx(58, abs=0.01)


def test_a_folder_archive_needs_the_spool_for_what_is_not_uploaded(
    spool: Path, tmp_path: Path
) -> None:
    archive = ["--archive", f"dir:{tmp_path}", "-o", str(tmp_path / "x.mkv")]
    with pytest.raises(CodecSightError, match=r"no stream 'yard.gate'.*counts only with its spool"):
        clip(*archive)
    assert clip(*archive, "--spool", str(spool)).exit_code == 0
    assert count(tmp_path / "x.mkv") == 20
    with pytest.raises(CodecSightError, match=r"--config site\.yaml, --archive dir:/path or"):
        clip()


@pytest.mark.s3
def test_s3_options_come_from_url_environment_or_site_file(
    spool: Path, tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"s3://codecsight/{tmp_path.name}"
    Uploader(spool, open_store(f"{prefix}?endpoint={s3.endpoint}", s3.keys)).run_once()
    out = ["-o", str(tmp_path / "x.mp4")]
    with pytest.raises(CodecSightError, match=r"'endpoint' is missing: .*AWS_ENDPOINT_URL_S3"):
        clip("--archive", prefix, *out)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{s3.endpoint}")
    with pytest.raises(CodecSightError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        clip("--archive", prefix, *out)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.keys.access_key)
    with pytest.raises(CodecSightError, match="set AWS_SECRET_ACCESS_KEY,"):
        clip("--archive", prefix, *out)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.keys.secret_key)
    assert clip("--archive", prefix, *out).exit_code == 0
    assert count(tmp_path / "x.mp4") == 20
    with small_disk(tmp_path / "full", "64k") as disk:
        (disk / "file").write_bytes(b"x" * (1 << 16))
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        with pytest.raises(CodecSightError, match=r"temporary folder .*/full .*set TMPDIR"):
            clip("--archive", prefix, *out)
        monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    keys = "access_key: {env: AWS_ACCESS_KEY_ID}, secret_key: {env: AWS_SECRET_ACCESS_KEY}"
    archive = f"{{url: 's3://codecsight/other?endpoint={s3.endpoint}', {keys}}}"
    config = site_yaml(tmp_path, tmp_path / "elsewhere", archive)
    assert clip("-c", config, "--archive", prefix, *out).exit_code == 0
