"""The process that owns one camera: from the source to the disk, and then to whoever analyses.

`python -m codecsight.video.capture --stream cam1 --source URL --spool DIR --feed SOCKET`

It imports no model, no Ray and no gRPC, so that none of them can take a recording down. It ends
when its source does or when it is told to (SIGTERM, SIGINT), never because a reader went away.
Exit status: 0 ended as it should, 1 failed, 2 could not begin (bad arguments, source or folder).
"""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog
from structlog.typing import EventDict

from codecsight.core.errors import CodecSightError
from codecsight.video.capture.feed.server import FeedServer
from codecsight.video.capture.process import CaptureProcess
from codecsight.video.capture.recorder import Recorder
from codecsight.video.capture.source import Source, SourceOptions, open_source

log = structlog.get_logger()

SOURCE = "CODECSIGHT_SOURCE"
"""May hold the source instead of `--source`: a camera's URL can carry its password."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the end of the source or a signal; the exit status."""
    options = _parse(arguments)
    _log_json(options.stream)
    try:
        source = open_source(options.source, _source_options(options))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: source.close())
        if options.attached:
            threading.Thread(target=_end_with_parent, args=(source,), daemon=True).start()
        recorder = Recorder(
            options.spool, options.stream, options.segment, limit_bytes=options.spool_limit
        )
        feed = FeedServer(options.feed)
    except CodecSightError as error:
        log.error("cannot begin", error=str(error))
        return 2
    try:
        CaptureProcess(source, recorder, feed).run()
    except CodecSightError as error:
        log.error("ended", error=str(error))
        return 1
    log.info("ended")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m codecsight.video.capture",
        description="Record one camera on this machine's disk and feed it on over a local socket.",
    )
    add = parser.add_argument
    add("--stream", required=True, help="the camera's name")
    add(
        "--source",
        default=os.environ.get(SOURCE),
        help=f"file, URL or world://NAME (or in ${SOURCE})",
    )
    add("--spool", required=True, type=Path, help="the folder segments are recorded into")
    add("--feed", required=True, type=Path, help="the socket to serve the feed at")
    add("--segment", type=_positive, default=30.0, metavar="S", help="seconds of a segment (30)")
    add(
        "--spool-limit",
        type=int,
        metavar="BYTES",
        help="delete the oldest recordings above this size",
    )
    add("--transport", choices=["tcp", "udp"], default="tcp", help="of RTSP (tcp)")
    add("--paced", action="store_true", help="give a file in real time")
    add("--loop", action="store_true", help="begin a file anew at its end")
    add(
        "--attached",
        action="store_true",
        help="end when standard input does, as a pipe from a parent that dies",
    )
    options = parser.parse_args(arguments)
    if not options.source:
        parser.error(f"--source is missing, and {SOURCE} is not set")
    return options


def _end_with_parent(source: Source) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    source.close()


def _positive(text: str) -> float:
    seconds = float(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return seconds


def _source_options(options: argparse.Namespace) -> SourceOptions:
    return SourceOptions(transport=options.transport, paced=options.paced, loop=options.loop)


def _log_json(stream: str) -> None:
    def name_stream(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {"stream": stream, **event}

    structlog.configure(
        processors=[
            name_stream,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
