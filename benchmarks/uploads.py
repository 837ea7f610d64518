"""How many cameras one site's archiver keeps up with: uploads to a real S3 server on this machine.

`python -m benchmarks.uploads` writes results/uploads.json. It fills a spool with one minute of 64
cameras in segments of 10 s, uploads them with the site's own Uploader, and says how long a minute
of recording took: below 60 s it keeps up. The server runs on the same cores; CPU seconds are the
archiver's alone.
"""

import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.record import record
from cluster.s3_server import S3Server
from codecsight.archive.spool import Spool
from codecsight.archive.store_factory import open_store
from codecsight.archive.upload import uploader as module
from codecsight.archive.upload.uploader import Uploader

CAMERAS = 64
SEGMENT_S = 10
SECONDS = 60
SEGMENT_BYTES = 2_500_000  # 2 Mbit/s
START = 1_795_424_400.0


@dataclass(frozen=True, slots=True)
class Row:
    """Uploads of one minute of all cameras, `parallel` at the same time."""

    parallel: int
    cameras: int
    segments: int
    megabytes: float
    seconds: float
    cpu_ms_per_segment: float


def main() -> None:
    """Measure one upload at a time and as many as the product runs."""
    rows = [asdict(_measure(parallel)) for parallel in (1, module.PARALLEL)]
    for row in rows:
        print(row)
    print(record("uploads", {"segment_s": SEGMENT_S, "recorded_s": SECONDS, "rows": rows}))


def _measure(parallel: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="cs-uploads-") as folder:
        server = S3Server(Path(folder, "s3"))
        server.start()
        try:
            module.PARALLEL = parallel
            _fill(Path(folder, "spool"))
            uploader = Uploader(Path(folder, "spool"), open_store(server.url, server.keys))
            started, cpu = time.monotonic(), time.process_time()
            segments = uploader.run_once()
            seconds, spent = time.monotonic() - started, time.process_time() - cpu
        finally:
            server.stop()
    megabytes = segments * SEGMENT_BYTES / 1e6
    cpu_ms = 1000 * spent / segments
    return Row(parallel, CAMERAS, segments, megabytes, round(seconds, 1), round(cpu_ms, 1))


def _fill(spool: Path) -> None:
    content = os.urandom(SEGMENT_BYTES)
    for number in range(CAMERAS):
        stream = Spool(spool, f"site.cam{number}")
        for index in range(SECONDS // SEGMENT_S):
            start = START + SEGMENT_S * index
            part = stream.new_part(start)
            part.write_bytes(number.to_bytes(2) + index.to_bytes(2) + content)
            stream.finish(part, start, start + SEGMENT_S, (0.0,))
        stream.release()


if __name__ == "__main__":
    main()
