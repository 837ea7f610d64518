"""The demo's fourth camera: a simulated camera, recorded to a file and served over RTSP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from cluster.demo.plan import GATE_URL
from cluster.ports import free_port
from cluster.rtsp_server import RtspServer
from codecsight.core.errors import CodecSightError
from codecsight.core.packet import StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.recording.segment_file import SegmentFile

log = structlog.get_logger()


@contextmanager
def rtsp_camera(folder: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the camera's configuration, valid inside the context.

    It holds an rtsp:// URL and its transport or, if no RTSP server is installed, the file itself,
    read in real time. `seconds` is the length of the recording.
    """
    file = folder / "gate.mkv"
    record_to_file(f"{GATE_URL}&seconds={seconds:.0f}", file)
    server = RtspServer(file, free_port())
    try:
        server.start()
    except CodecSightError as error:
        log.warning("no RTSP server; reading the gate camera from a file", reason=str(error))
        yield {"url": str(file), "loop": True}
        return
    try:
        yield {"url": server.url, "transport": server.transport}
    finally:
        server.kill()


def record_to_file(url: str, file: Path) -> None:
    """Write the packets of the source at `url` to a Matroska file, unchanged."""
    info: StreamInfo | None = None
    segment: SegmentFile | None = None
    for item in open_source(url).items():
        if isinstance(item, StreamInfo):
            info = item
        elif info is not None:
            segment = segment or SegmentFile(file, info, item, "gate")
            segment.write(item)
    if segment is not None:
        segment.close()
