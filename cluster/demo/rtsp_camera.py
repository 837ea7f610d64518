"""The demo's fourth camera: a filmed world, served over real RTSP where a server can be had."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from cluster.demo.plan import GATE_URL, free_port
from cluster.rtsp_server import RtspServer
from codecsight.core.errors import CodecSightError
from codecsight.core.packet import StreamInfo
from codecsight.video.capture.segment_file import SegmentFile
from codecsight.video.capture.source import open_source

log = structlog.get_logger()


@contextmanager
def rtsp_camera(folder: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """The camera's configuration, valid inside the context: an rtsp:// URL with its transport, or
    the file itself, paced in real time, where no RTSP server is installed.
    """
    file = folder / "gate.mkv"
    record_to_file(f"{GATE_URL}&seconds={seconds:.0f}", file)
    server = RtspServer(file, free_port())
    try:
        server.start()
    except CodecSightError as error:
        log.warning("no RTSP server; the gate is a file in real time", reason=str(error))
        yield {"url": str(file), "loop": True}
        return
    try:
        yield {"url": server.url, "transport": server.transport}
    finally:
        server.kill()


def record_to_file(url: str, file: Path) -> None:
    """Write what the source at `url` gives, packet for packet, to a Matroska file."""
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
