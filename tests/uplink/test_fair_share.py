"""fair_share: one site can't take everything, and a single site has all of it."""

import pytest

from codecsight.uplink.fair_share import refusal
from codecsight.uplink.leases import NoCapacityError, StreamDirectory

SITES = ("a", "b", "c", "d", "e")
NOW = 1000.0


def most(site: str, used: dict[str, float], sites: tuple[str, ...] = SITES) -> int:
    """How many blocks of 1,000 a site gets, one by one."""
    used, count = dict(used), 0
    while not refusal(site, 1, used, 1000, sites):
        used[site] = used.get(site, 0) + 1
        count += 1
    return count


def test_a_single_site_has_everything() -> None:
    assert most("a", {}, ("a",)) == 1000


def test_what_others_are_guaranteed_stays_free() -> None:
    assert most("a", {}) == 600
    assert most("b", {"a": 600}) == 100
    assert most("a", {"a": 600, "b": 100}) == 0


def test_a_site_that_has_its_part_keeps_nothing_free_for_itself() -> None:
    assert most("a", {"b": 100, "c": 100}) == 600
    assert most("a", {"b": 400}) == 300


def test_every_site_gets_its_part_whatever_the_others_hold() -> None:
    used = {"a": float(most("a", {}))}
    for site in SITES[1:]:
        used[site] = float(most(site, used))
        assert used[site] >= 100
    assert sum(used.values()) == 1000


def connect_until_refused(directory: StreamDirectory, site: str) -> int:
    for count in range(2000):
        try:
            directory.claim(f"{site}.cam{count}", NOW)
        except NoCapacityError:
            return count
    raise AssertionError


def test_a_flood_of_streams_leaves_room_for_another_site() -> None:
    directory = StreamDirectory(("flood", "calm"))
    directory.report("w0", 36, 360, NOW, {"calm": 36})
    directory.claim("calm.gate", NOW)
    directory.report("w0", 36, 360, NOW, {"calm": 36})  # 36 blocks a stream
    taken = connect_until_refused(directory, "flood")
    assert taken == 7, "252 of 360 blocks: 90 are guaranteed to the other site, 54 of them free"
    directory.report("w0", 36 + 7 * 36, 360, NOW, {"calm": 36, "flood": 7 * 36})
    assert connect_until_refused(directory, "flood") == 7, "connected ones may connect again"
    directory.claim("calm.yard", NOW)


def test_a_connected_stream_may_always_connect_again() -> None:
    directory = StreamDirectory(("a", "b"), max_streams=1)
    directory.report("w0", 0, 100, NOW)
    directory.claim("a.gate", NOW)
    directory.claim("a.gate", NOW)
    with pytest.raises(NoCapacityError, match=r"has 1 streams, its limit; raise limits\.streams"):
        directory.claim("a.yard", NOW)
    directory.claim("b.gate", NOW)
