"""Entry point of the recording process of one camera.

`python -m codecsight.video.capture --stream cam1 --source URL --spool DIR --feed SOCKET`

The process imports no model, no Ray and no gRPC, so that none of them can stop a recording. It
ends with its source or on SIGTERM or SIGINT, never because a reader disconnected.
Exit status: see `exit_codes.py`. With --attached it writes its status as a line of JSON to
standard output every few seconds, which the parent process takes as a sign of life too.
"""

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import structlog

from codecsight.core.errors import CodecSightError
from codecsight.core.stop_signals import call_on_stop_signals
from codecsight.logs import configure_logs
from codecsight.video.capture import exit_codes
from codecsight.video.capture.feed.protocol import CaptureStatus
from codecsight.video.capture.feed.server import FeedServer
from codecsight.video.capture.files.local_path import STDIN_NAMES
from codecsight.video.capture.open import open_source
from codecsight.video.capture.process import CaptureProcess
from codecsight.video.capture.source import SourceOptions
from codecsight.video.recording.recorder import Recorder

log = structlog.get_logger()

SOURCE_VARIABLE = "CODECSIGHT_SOURCE"
"""Environment variable for the source: other users can't read a password in it, unlike in argv."""
ALIVE_S = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Record until the source ends or a signal arrives; returns the exit status."""
    options = _parse(arguments)
    configure_logs("recorder", stream=options.stream)
    stopped = False
    process: list[CaptureProcess] = []  # empty until everything is open
    try:
        source = open_source(options.source, _source_options(options))

        def stop() -> None:
            nonlocal stopped
            stopped = True
            source.close()

        call_on_stop_signals(stop)
        if options.attached:
            threading.Thread(target=_call_on_stdin_eof, args=(stop,), daemon=True).start()
            writer = threading.Thread(target=_write_status, args=(process,), daemon=True)
            writer.start()
        recorder = Recorder(
            options.spool, options.stream, options.segment, limit_bytes=options.spool_limit
        )
        feed = FeedServer(options.feed)
    except CodecSightError as error:
        _report_failure(options, "cannot start", error)
        return exit_codes.CANNOT_START
    try:
        process.append(CaptureProcess(source, recorder, feed, options.audio))
        process[0].run()
    except CodecSightError as error:
        _report_failure(options, "failed", error)
        return exit_codes.FAILED
    log.info("ended")
    return exit_codes.STOPPED if stopped else exit_codes.END_OF_SOURCE


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m codecsight.video.capture",
        description="Record one camera to disk and serve its packets on a local socket.",
    )
    add = parser.add_argument
    add("--stream", required=True, help="the camera's name")
    add(
        "--source",
        default=os.environ.get(SOURCE_VARIABLE),
        help=f"file, URL or world://NAME (or in ${SOURCE_VARIABLE})",
    )
    add("--spool", required=True, type=Path, help="folder to record segments into")
    add("--feed", required=True, type=Path, help="path of the feed's socket")
    add(
        "--segment",
        type=_positive,
        default=30.0,
        metavar="S",
        help="target length of a segment in seconds (default 30)",
    )
    add(
        "--spool-limit",
        type=int,
        metavar="BYTES",
        help="delete the oldest recordings when the spool exceeds this size",
    )
    add("--transport", choices=["tcp", "udp"], default="tcp", help="RTSP transport (tcp)")
    add("--paced", action="store_true", help="play a file in real time")
    add("--loop", action="store_true", help="restart a file at its end")
    add("--audio", action="store_true", help="record sound too, as it is")
    add(
        "--attached",
        action="store_true",
        help="end when standard input is closed, for example when the parent process dies",
    )
    options = parser.parse_args(arguments)
    if not options.source:
        parser.error(f"--source is missing, and {SOURCE_VARIABLE} is not set")
    if options.attached and options.source.strip() in STDIN_NAMES:
        parser.error("standard input can't be a camera here: use a FIFO (mkfifo PATH)")
    return options


def _call_on_stdin_eof(stop: Callable[[], None]) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop()


def _write_status(process: Sequence[CaptureProcess]) -> None:
    """Write the status as a line of JSON every ALIVE_S seconds, also as a sign of life."""
    with contextlib.suppress(OSError):  # the parent process is gone
        while True:
            _write_line(process[0].status() if process else CaptureStatus("connecting"))
            time.sleep(ALIVE_S)


def _report_failure(options: argparse.Namespace, event: str, error: CodecSightError) -> None:
    """Log why the process ends; if it is attached, write it as its last status too."""
    log.error(event, error=str(error))
    if options.attached:
        with contextlib.suppress(OSError):
            _write_line(CaptureStatus("down", error=str(error)))


def _write_line(status: CaptureStatus) -> None:
    os.write(sys.stdout.fileno(), json.dumps(asdict(status)).encode() + b"\n")


def _positive(text: str) -> float:
    seconds = float(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return seconds


def _source_options(options: argparse.Namespace) -> SourceOptions:
    return SourceOptions(
        transport=options.transport, paced=options.paced, loop=options.loop, audio=options.audio
    )


if __name__ == "__main__":
    sys.exit(main())
