"""Postponement: a row that fails is tried again later and later, and the others at once."""

from pathlib import Path

from codecsight.archive.upload.postponement import Postponement

A, B = Path("a.json"), Path("b.json")


def test_each_failure_doubles_the_delay_up_to_an_hour() -> None:
    postponed, now, delays = Postponement(), 1000.0, []
    for _ in range(8):
        postponed.failed([A], now)
        began = now
        while postponed.due([A, B], now) == [B]:
            now += 1
        assert postponed.due([A, B], now) == [A, B]
        delays.append(now - began)
    assert delays == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_a_row_that_is_gone_is_forgotten() -> None:
    postponed = Postponement()
    postponed.failed([A], 0)
    assert postponed.count([A, B]) == 1
    assert postponed.due([B], 1) == [B]
    assert postponed.due([A, B], 2) == [A, B]
    assert postponed.count([A, B]) == 0
