"""Serve one H.264 file over RTSP with rtsp-rs, in an endless loop and in real time.

`python -m cluster.rtsp.rust FILE PORT` prints "ready" once it accepts clients and ends when its
standard input closes.
"""

import os
import sys
import threading
import time

import av
import rtsp

RTP_CLOCK = 90_000


def serve(file: str, port: str) -> None:
    """Serve `file` at rtsp://127.0.0.1:PORT/stream endlessly."""
    server = rtsp.Server(f"127.0.0.1:{port}")
    server.start()
    print("ready", flush=True)
    due = time.monotonic()
    while True:
        with av.open(file) as container:
            stream = container.streams.video[0]
            annexb = av.BitStreamFilterContext("h264_mp4toannexb", stream)
            for packet in container.demux(stream):
                for unit in annexb.filter(packet if packet.size else None):
                    seconds = float((unit.duration or 0) * unit.time_base)
                    server.send_frame(bytes(unit), round(seconds * RTP_CLOCK))
                    # After a stall of over 1 s the schedule moves on instead of sending a burst.
                    due = max(due + seconds, time.monotonic() - 1)
                    time.sleep(max(0.0, due - time.monotonic()))


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(*sys.argv[1:3])
