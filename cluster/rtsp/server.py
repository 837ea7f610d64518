"""RTSP server for a video file, in its own process: a simulated camera for demo and tests."""

import importlib.util
import os
import select
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
GSTREAMER = Path(__file__).with_name("gstreamer.py")
RUST = Path(__file__).with_name("rust.py")

START_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0

Transport = Literal["tcp", "udp"]


class RtspServer:
    """Serve an H.264 file at `url`; a context manager.

    GStreamer's server is preferred: it serves TCP, and each client gets the file from start to end.
    The alternative is rtsp-rs: UDP only, and all clients share one endless loop. Raises
    CodecSightError if neither is installed or the port is in use.
    """

    def __init__(self, file: Path, port: int) -> None:
        self._command, self.transport = _find_server()
        self._arguments = [str(file.resolve()), str(port)]
        self._environment = _gstreamer_environment(file.resolve().parent)
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
        """Start or restart the server and wait until it accepts clients."""
        self._process = subprocess.Popen(
            [*self._command, *self._arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if _first_line(self._process) != "ready":
            self._process.kill()  # if it has not ended by itself
            _, errors = self._process.communicate(timeout=END_TIMEOUT_S)
            reason = errors.strip().splitlines()[-1:] or ["it wrote no message"]
            raise CodecSightError(f"{self.url}: the RTSP server did not start: {reason[0]}")

    def kill(self) -> None:
        """Kill the server, as a power loss would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=END_TIMEOUT_S)
            self._process = None

    def suspend(self) -> None:
        """Suspend the process (SIGSTOP): its connections stay open without data."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a suspended process (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def available_transport() -> Transport | None:
    """The transport of the server that would be started, or None if none is installed."""
    try:
        return _find_server()[1]
    except CodecSightError:
        return None


def _first_line(process: "subprocess.Popen[str]") -> str:
    """The first line of its output; empty if it ends, or writes none in time."""
    if process.stdout is None or not select.select([process.stdout], [], [], START_TIMEOUT_S)[0]:
        return ""
    return process.stdout.readline().strip()


@cache
def _find_server() -> tuple[tuple[str, ...], Transport]:
    if Path(SYSTEM_PYTHON).exists() and _gstreamer_works():
        return (SYSTEM_PYTHON, str(GSTREAMER)), "tcp"
    if importlib.util.find_spec("rtsp") is not None:
        return (sys.executable, "-P", str(RUST)), "udp"
    raise CodecSightError(
        "no RTSP server is installed: run `pip install rtsp-rs`, or on Debian `apt-get install "
        "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad python3-gi`"
    )


def _gstreamer_works() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        check = subprocess.run(
            [SYSTEM_PYTHON, GSTREAMER],
            capture_output=True,
            check=False,
            env=_gstreamer_environment(Path(folder)),
            timeout=START_TIMEOUT_S,
        )
    return check.returncode == 0


def _gstreamer_environment(folder: Path) -> dict[str, str]:
    """Our environment, with GStreamer's plugin cache in `folder` instead of the home folder."""
    return {**os.environ, "GST_REGISTRY": str(folder / "gstreamer-plugins")}
