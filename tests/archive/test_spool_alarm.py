"""The spool says what will be lost long before it is."""

from pathlib import Path

import pytest

from codecsight.archive.spool import Spool
from tests.small_disk import small_disk

START = 1_795_424_400.0


def fill(spool: Spool, count: int, size: int = 10_000) -> None:
    for index in range(count):
        part = spool.new_part(START + index)
        part.write_bytes(bytes(size))
        spool.finish(part, START + index, START + index + 1, (0.0,))


@pytest.mark.parametrize(("segments", "alarm"), [(0, ""), (7, ""), (9, "90% full"), (10, "100%")])
def test_an_alarm_is_raised_at_four_fifths_of_the_limit(
    tmp_path: Path, segments: int, alarm: str
) -> None:
    spool = Spool(tmp_path, "site.gate", limit_bytes=100_000)
    fill(spool, segments)
    found = spool.alarm()
    assert alarm in found
    assert bool(found) == bool(alarm)
    assert spool.discard_oldest() == []


def test_a_disk_that_is_smaller_than_the_limit_raises_an_alarm(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        spool = Spool(disk, "site.gate", limit_bytes=100_000_000)
        assert "less than the spool may still take (0.1 GB)" in spool.alarm()
        spool.release()


def test_without_a_limit_there_is_no_alarm(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "site.gate")
    fill(spool, 3)
    assert spool.alarm() == ""
