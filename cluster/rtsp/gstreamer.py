"""Serve one H.264 file over RTSP with GStreamer; a script for the system's Python.

`/usr/bin/python3 gstreamer.py FILE PORT` prints "ready" once it accepts clients and ends when
its standard input closes. Without arguments it only checks that GStreamer and its plugins work.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

NEEDED = ("filesrc", "parsebin", "h264parse", "rtph264pay")


def check() -> None:
    """Exit with an error message if GStreamer plugins are missing."""
    if missing := [name for name in NEEDED if Gst.ElementFactory.find(name) is None]:
        sys.exit(f"GStreamer lacks {', '.join(missing)}")


def serve(file: str, port: str) -> None:
    """Serve `file` at rtsp://127.0.0.1:PORT/stream, from the start for each client."""
    factory = GstRtspServer.RTSPMediaFactory()
    location = file.replace("\\", "\\\\").replace('"', '\\"')
    factory.set_launch(
        f'( filesrc location="{location}" ! parsebin ! h264parse'
        " ! rtph264pay name=pay0 pt=96 config-interval=-1 )"
    )
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    server.get_mount_points().add_factory("/stream", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is in use")
    loop = GLib.MainLoop()
    GLib.io_add_watch(0, GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    print("ready", flush=True)
    loop.run()


if __name__ == "__main__":
    Gst.init(None)
    check()
    if sys.argv[1:]:
        serve(*sys.argv[1:3])
