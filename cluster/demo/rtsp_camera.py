"""The demo's fourth camera: a simulated camera, recorded to a file and served over RTSP."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from cluster.demo.plan import GATE_URL
from cluster.ports import free_port
from cluster.rtsp.server import RtspServer
from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.recording.segment_file import SegmentFile

log = structlog.get_logger()

RECORDED_S = 20
"""Length of what is rendered; the file repeats it. Rendering takes a third of its length."""


@contextmanager
def rtsp_camera(folder: Path, seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the camera's configuration, valid inside the context.

    It holds an rtsp:// URL and its transport or, if no RTSP server is installed, the file itself,
    read in real time. `seconds` is the least length of the recording.
    """
    file = folder / "gate.mkv"
    record_to_file(f"{GATE_URL}&seconds={RECORDED_S}", file, math.ceil(seconds / RECORDED_S))
    server = RtspServer(file, free_port())
    try:
        server.start()
    except CodecSightError as error:
        log.warning("no RTSP server; reading the gate camera from a file", reason=str(error))
        yield {"url": str(file), "loop": True, "procedural": True}
        return
    try:
        yield {"url": server.url, "transport": server.transport, "procedural": True}
    finally:
        server.kill()


def record_to_file(url: str, file: Path, times: int = 1) -> None:
    """Write the packets of the source at `url`, unchanged, `times` times to a Matroska file."""
    items = list(open_source(url).items())
    info = next(item for item in items if isinstance(item, StreamInfo))
    packets = [item for item in items if isinstance(item, Packet)]
    period = max(_end(packet) for packet in packets)
    segment = SegmentFile(file, info, packets[0], "gate")
    for repetition in range(times):
        for packet in packets:
            segment.write(_later(packet, repetition * period))
    segment.close()


def _end(packet: Packet) -> int:
    return (packet.pts or 0) + packet.duration


def _later(packet: Packet, ticks: int) -> Packet:
    pts, dts = (None if time is None else time + ticks for time in (packet.pts, packet.dts))
    return replace(packet, pts=pts, dts=dts)
