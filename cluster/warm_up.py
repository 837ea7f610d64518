"""`python -m cluster.warm_up`: compile the image code of cameras into numba's disk cache.

A process that has compiled keeps some 80 MB more than one that has loaded the code, and cameras of
a new installation would all compile the same. So a site runs this process first. It takes some 15
CPU seconds once, later about one.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Callable

import structlog

TIMEOUT_S = 240.0
POLL_S = 0.5
SOURCE = "world://yard?seed=901&fps=10&width=160&height=128&gop=30&seconds=20"

log = structlog.get_logger()


class WarmUp:
    """The process, which starts with this object."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        command = [sys.executable, "-m", "cluster.warm_up"]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=null, stdout=null)

    def wait(self, stop: threading.Event, on_wait: Callable[[], None]) -> None:
        """Wait for its end, at most until `stop` or for TIMEOUT_S: then the cameras compile
        themselves. Calls `on_wait` every POLL_S.
        """
        deadline = self._started + TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            if stop.wait(POLL_S):
                break
            on_wait()
        code = self._process.poll()
        if code is None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)
        seconds = round(time.monotonic() - self._started, 1)
        log.info("image code compiled", seconds=seconds, exit_code=code)


def compile_image_code() -> None:
    """Pass some seconds of a small picture through the pipeline of a camera."""
    from codecsight.camera import CameraPipeline
    from codecsight.core.grid import GridSpec
    from codecsight.patches.codec import PatchCodec
    from codecsight.patches.packing import pack
    from codecsight.video.capture.open import open_source

    spec = GridSpec(cell=32, frames=2, rate=2.0, max_cells=48)
    camera, codec = CameraPipeline(spec, "tracked", anchor_every=100), PatchCodec("jpeg", 90)
    for item in open_source(SOURCE).items():
        for slot in camera.feed(item):
            pack(slot, camera.spec, "warm-up", codec)


if __name__ == "__main__":
    compile_image_code()
