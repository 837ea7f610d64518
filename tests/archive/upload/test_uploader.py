"""The uploader loses no segment and stores none by half, also when killed."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.s3_server import S3Server
from codecsight.archive.directory_store import DirectoryStore
from codecsight.archive.errors import ArchiveError
from codecsight.archive.segment import Segment, from_json, row_key
from codecsight.archive.spool import Spool, finished_segments
from codecsight.archive.store import ObjectStore
from codecsight.archive.store_factory import open_store
from codecsight.archive.upload import uploader as uploader_module
from codecsight.archive.upload.uploader import Uploader

START = 1_795_424_400.0


def fill(
    spool: Path, count: int, size: int = 1000, stream: str = "cam1", start: float = START
) -> list[Segment]:
    """Record finished segments of random content into the spool."""
    stream_spool = Spool(spool, stream)
    made = []
    for index in range(count):
        begin = start + 10 * index
        part = stream_spool.new_part(begin)
        part.write_bytes(os.urandom(size))
        made.append(stream_spool.finish(part, begin, begin + 10, (0.0,)))
    stream_spool.release()
    return made


def stored_rows(store: ObjectStore) -> dict[str, Segment]:
    """The rows in a store by their segments' keys; each must have the right row key."""
    rows = {}
    for row in store.list_objects("rows/"):
        segment = from_json(store.read(row.key), row.key)
        assert row_key(segment) == row.key
        rows[segment.key] = segment
    return rows


def spooled(spool: Path, stream: str = "cam1") -> list[Segment]:
    return [segment for _, segment in finished_segments(spool / stream)]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_segments_are_uploaded_with_their_rows_and_removed_from_the_spool(
    store: ObjectStore, spool: Path
) -> None:
    made = [*fill(spool, 3), *fill(spool, 2, stream="cam2")]
    uploader = Uploader(spool, store)
    assert uploader.run_once() == 5
    assert sorted(stored_rows(store).values(), key=lambda s: s.key) == sorted(
        made, key=lambda s: s.key
    )
    assert [stored.key for stored in store.list_objects("segments/cam1/")] == [
        s.key for s in made[:3]
    ]
    assert spooled(spool) == spooled(spool, "cam2") == []
    assert (uploader.stats.uploaded, uploader.stats.uploaded_bytes) == (5, 5000)
    assert (uploader.stats.queued, uploader.stats.queued_bytes) == (0, 0)
    assert all(uploader.verify(segment) for segment in made)
    assert uploader.stats.verified == 5


def test_a_segment_still_being_recorded_is_not_uploaded(
    folder_store: DirectoryStore, spool: Path
) -> None:
    stream_spool = Spool(spool, "cam1")
    stream_spool.new_part(START).write_bytes(b"half")
    assert Uploader(spool, folder_store).run_once() == 0
    assert len(stream_spool.unfinished()) == 1


def test_a_changed_object_fails_its_verification(folder_store: DirectoryStore, spool: Path) -> None:
    [segment] = fill(spool, 1)
    uploader = Uploader(spool, folder_store)
    uploader.run_once()
    folder_store.put_bytes(segment.key, b"something else")
    assert not uploader.verify(segment)
    assert uploader.stats.unverified == 1


def test_a_damaged_row_is_set_aside_and_does_not_block_the_others(
    folder_store: DirectoryStore, spool: Path
) -> None:
    made = fill(spool, 3)
    row = (spool / "cam1" / Path(made[0].key).name).with_suffix(".json")
    row.write_text("{ half a r")
    uploader = Uploader(spool, folder_store)
    assert uploader.run_once() == 2
    assert uploader.stats.damaged == 1
    assert row.with_suffix(".json.damaged").exists()
    assert row.with_suffix(".mkv").exists()


def changed(video: Path) -> str:
    video.write_bytes(bytes(1000))
    return "changed after its row was written"


def unreadable(video: Path) -> str:
    """Reading it fails with EIO, as on a failing disk: nothing is mapped at address 0."""
    video.unlink()
    video.symlink_to("/proc/self/mem")
    return "can't be read: Input/output error"


@pytest.mark.parametrize("damage", [changed, unreadable])
def test_a_damaged_recording_is_set_aside_for_good_and_blocks_no_other(
    store: ObjectStore, spool: Path, damage: Callable[[Path], str],
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    made = [*fill(spool, 2), *fill(spool, 2, stream="cam2")]
    video = spool / "cam1" / Path(made[0].key).name
    reason = damage(video)
    uploader = Uploader(spool, store)
    assert uploader.run_once() == 3
    assert (uploader.stats.damaged, uploader.stats.failed) == (1, 0)
    assert reason in capsys.readouterr().out + caplog.text
    assert sorted(stored_rows(store)) == sorted(segment.key for segment in made[1:])
    aside = video.with_name(video.name + ".damaged")
    assert aside.is_symlink() or aside.exists()
    restarted = Spool(spool, "cam1")
    assert restarted.unfinished() == [], "the recorder does not recover it"
    restarted.release()
    again = Uploader(spool, store)
    assert again.run_once() == 0
    assert again.stats.damaged == 1


def test_a_segment_discarded_before_its_upload_is_counted_as_lost(
    folder_store: DirectoryStore, spool: Path
) -> None:
    made = fill(spool, 2)
    (spool / "cam1" / Path(made[0].key).name).unlink()
    uploader = Uploader(spool, folder_store)
    assert uploader.run_once() == 1
    assert uploader.stats.lost == 1
    assert spooled(spool) == []


def test_a_row_left_after_a_finished_upload_is_removed_and_not_counted_as_lost(
    folder_store: DirectoryStore, spool: Path
) -> None:
    [segment] = fill(spool, 1)
    row = (spool / "cam1" / Path(segment.key).name).with_suffix(".json")
    content = row.read_bytes()
    uploader = Uploader(spool, folder_store)
    uploader.run_once()
    row.write_bytes(content)
    assert uploader.run_once() == 0
    assert uploader.stats.lost == 0
    assert not row.exists()


def test_a_segment_that_the_store_rejects_does_not_block_the_others(
    folder_store: DirectoryStore, tmp_path: Path, spool: Path
) -> None:
    made = fill(spool, 3)
    (tmp_path / "archive" / made[0].key).mkdir(parents=True)
    uploader = Uploader(spool, folder_store)
    assert uploader.run_once() == 2
    assert (uploader.stats.failed, uploader.stats.queued, uploader.stats.postponed) == (1, 1, 1)
    assert "archive folder" in uploader.stats.last_error
    later = fill(spool, 1, start=START + 100)
    assert uploader.run_once() == 1, "the refused one is not tried at once"
    assert (uploader.stats.failed, uploader.stats.postponed) == (1, 1)
    assert sorted(stored_rows(folder_store)) == sorted(s.key for s in (*made[1:], *later))
    assert spooled(spool) == made[:1]


def test_segments_are_uploaded_several_at_a_time_and_oldest_first(
    folder_store: DirectoryStore, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(spool, 12)
    running, most, order = set[str](), [0], list[str]()
    barrier = threading.Barrier(uploader_module.PARALLEL, timeout=60)
    put = DirectoryStore.put_file

    def held(self: DirectoryStore, key: str, path: Path, sha256: str) -> None:
        running.add(key)
        order.append(key)
        most[0] = max(most[0], len(running))
        barrier.wait()  # passes only when PARALLEL are there
        put(self, key, path, sha256)
        running.discard(key)

    monkeypatch.setattr(DirectoryStore, "put_file", held)
    assert Uploader(spool, folder_store).run_once() == 12
    assert most == [uploader_module.PARALLEL]
    first = uploader_module.PARALLEL
    assert set(order[:first]) == set(sorted(order)[:first])


def test_nothing_is_begun_after_the_time_to_end(folder_store: DirectoryStore, spool: Path) -> None:
    made = fill(spool, 3)
    assert Uploader(spool, folder_store).run_once(until=time.monotonic()) == 0
    assert spooled(spool) == made


@pytest.mark.s3
def test_a_denied_secret_is_reported_and_loses_no_segment(s3: S3Server, spool: Path) -> None:
    made = fill(spool, 3)
    keys = type(s3.keys)(s3.keys.access_key, "wrong")
    uploader = Uploader(spool, open_store(s3.url, keys))
    with pytest.raises(ArchiveError, match="denied access"):
        uploader.run_once()
    assert "denied access" in uploader.stats.last_error
    assert spooled(spool) == made


@pytest.mark.s3
def test_a_server_that_restarts_receives_every_segment(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader_module, "RETRY_MAX_S", 1.0)
    stop = threading.Event()
    with S3Server(tmp_path / "s3") as server:
        uploader = Uploader(spool, open_store(server.url, server.keys))
        thread = threading.Thread(target=uploader.run, args=(stop,))
        thread.start()
        try:
            made = fill(spool, 2)
            wait_until(lambda: uploader.stats.uploaded == 2)
            server.stop()
            made += fill(spool, 3, stream="cam2")
            wait_until(lambda: "cannot be reached" in uploader.stats.last_error)
            assert spooled(spool, "cam2") == made[2:]
            server.start()
            wait_until(lambda: uploader.stats.uploaded == 5)
            wait_until(lambda: uploader.stats.last_error == "")
        finally:
            stop.set()
            thread.join(20)
        assert not thread.is_alive()
        assert all(uploader.verify(segment) for segment in made)


CHILD = """
import sys
from pathlib import Path
from codecsight.archive.store_factory import open_store
from codecsight.core.urls.credentials import S3Keys
from codecsight.archive.upload.uploader import Uploader
spool, url, access, secret = sys.argv[1:]
uploader = Uploader(Path(spool), open_store(url, S3Keys(access, secret)))
print("ready", flush=True)
while True:
    uploader.run_once()
"""


def upload_and_kill(spool: Path, url: str, secrets: list[str], after_s: float) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(spool), url, *secrets],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(after_s)
    child.kill()
    assert child.wait() == -signal.SIGKILL


def test_an_uploader_killed_at_any_moment_leaves_no_partial_data(
    store: ObjectStore, store_url: str, request: pytest.FixtureRequest, spool: Path
) -> None:
    """Kill the uploader at random moments until four kills have interrupted an upload.

    After each kill every row must have its whole object, every object must be whole, and every
    segment must be in the spool or in the store.
    """
    keys = request.getfixturevalue("s3").keys if store_url.startswith("s3:") else None
    secrets = [keys.access_key, keys.secret_key] if keys else ["", ""]
    made: dict[str, Segment] = {}
    random_moment = random.Random(7)
    whole = set[str]()
    interrupted = 0
    for day in range(30):
        batch = fill(spool, 4, size=1 << 20, start=START + 86_400 * day)
        made |= {segment.key: segment for segment in batch}
        upload_and_kill(spool, store_url, secrets, random_moment.uniform(0.0, 0.1))
        rows, waiting = stored_rows(store), {segment.key for segment in spooled(spool)}
        new = {stored.key for stored in store.list_objects("segments/")} - whole
        assert all(store.sha256(key) == made[key].sha256 for key in new)
        whole |= new
        assert rows.keys() <= whole
        assert waiting | rows.keys() == made.keys()
        interrupted += bool(new and waiting)
        if interrupted == 4:
            break
    assert interrupted == 4
    Uploader(spool, store).run_once()
    assert stored_rows(store) == made
    assert spooled(spool) == []


def test_the_checksum_in_a_spooled_row_matches_its_file(spool: Path) -> None:
    fill(spool, 1)
    [(path, segment)] = finished_segments(spool / "cam1")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == segment.sha256
