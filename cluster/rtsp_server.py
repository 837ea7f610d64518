"""A camera made of a file: a real RTSP server in a process of its own."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from codecsight.core.errors import CodecSightError

SYSTEM_PYTHON = "/usr/bin/python3"
GSTREAMER = Path(__file__).with_name("rtsp_gstreamer.py")
RUST = Path(__file__).with_name("rtsp_rust.py")

Transport = Literal["tcp", "udp"]


class RtspServer:
    """Serves an H.264 file at `url` from entering the context until leaving it.

    GStreamer's server is taken where the system has it: it serves TCP, and each client from the
    file's start to its end. Else rtsp-rs: UDP only, everybody sees the same endless loop.
    Raises CodecSightError where neither is installed or the port is taken.
    """

    def __init__(self, file: Path, port: int) -> None:
        self._command, self.transport = _server()
        self._arguments = [str(file.resolve()), str(port)]
        self._environment = _registry(file.resolve().parent)
        self._process: subprocess.Popen[str] | None = None
        self.url = f"rtsp://127.0.0.1:{port}/stream"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the server (again), and wait until clients may come."""
        self._process = subprocess.Popen(
            [*self._command, *self._arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        out = self._process.stdout
        if out is None or out.readline().strip() != "ready":
            _, problem = self._process.communicate()
            reason = problem.strip().splitlines()[-1:] or ["it ended without a word"]
            raise CodecSightError(f"{self.url}: the RTSP server didn't start: {reason[0]}")

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def suspend(self) -> None:
        """Stop it in the middle of everything; its connections stay open and silent."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def available_transport() -> Transport | None:
    """The transport that a server started here would speak, or None where none is installed."""
    try:
        return _server()[1]
    except CodecSightError:
        return None


@cache
def _server() -> tuple[tuple[str, ...], Transport]:
    if Path(SYSTEM_PYTHON).exists() and _gstreamer_is_there():
        return (SYSTEM_PYTHON, str(GSTREAMER)), "tcp"
    if importlib.util.find_spec("rtsp") is not None:
        return (sys.executable, "-P", str(RUST)), "udp"
    raise CodecSightError(
        "no RTSP server is installed; either `pip install rtsp-rs`, or on Debian `apt-get install "
        "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad python3-gi`"
    )


def _gstreamer_is_there() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        check = subprocess.run(
            [SYSTEM_PYTHON, GSTREAMER],
            capture_output=True,
            check=False,
            env=_registry(Path(folder)),
        )
    return check.returncode == 0


def _registry(folder: Path) -> dict[str, str]:
    """Our environment, with GStreamer's list of plug-ins in `folder`, not in the user's home."""
    return {**os.environ, "GST_REGISTRY": str(folder / "gstreamer-plugins")}
