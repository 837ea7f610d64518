"""StreamDirectory: leases, epochs and placement."""

import pytest

from codecsight.uplink.leases import LeaseError, NoCapacityError, StreamDirectory

NOW = 1_700_000_000.0


@pytest.fixture
def directory() -> StreamDirectory:
    """Two workers: `a` half full, `b` a quarter."""
    directory = StreamDirectory(lease_s=30.0, worker_timeout_s=15.0)
    directory.report("a", kv_used=50, kv_total=100, now=NOW)
    directory.report("b", kv_used=50, kv_total=200, now=NOW)
    return directory


def test_a_stream_goes_to_the_worker_with_the_least_kv_load(directory: StreamDirectory) -> None:
    lease = directory.claim("gate", NOW)
    assert (lease.owner, lease.expires_at) == ("b", NOW + 30)
    assert directory.lease("gate", NOW) == lease


def test_many_streams_at_once_are_spread_over_the_workers(directory: StreamDirectory) -> None:
    directory = StreamDirectory()
    for worker in "abcd":
        directory.report(worker, kv_used=0, kv_total=1000, now=NOW)
    owners = [directory.claim(f"camera{n}", NOW).owner for n in range(20)]
    assert {owners.count(worker) for worker in "abcd"} == {5}


def test_every_claim_has_a_higher_epoch_and_keeps_a_live_owner(
    directory: StreamDirectory,
) -> None:
    first = directory.claim("gate", NOW)
    directory.report("a", kv_used=0, kv_total=100, now=NOW)
    again = directory.claim("gate", NOW)
    assert again.epoch > first.epoch
    assert again.owner == first.owner


def test_a_lease_with_an_older_epoch_cannot_be_renewed(directory: StreamDirectory) -> None:
    first = directory.claim("gate", NOW)
    second = directory.claim("gate", NOW)
    with pytest.raises(LeaseError, match=f"epoch {first.epoch} of b has ended"):
        directory.renew("gate", "b", first.epoch, NOW)
    assert directory.renew("gate", "b", second.epoch, NOW + 10).expires_at == NOW + 40


def test_the_streams_of_a_dead_worker_go_to_a_live_one(directory: StreamDirectory) -> None:
    first = directory.claim("gate", NOW)
    directory.report("a", kv_used=50, kv_total=100, now=NOW + 20)  # b has not reported for 20 s
    second = directory.claim("gate", NOW + 20)
    assert (second.owner, second.epoch > first.epoch) == ("a", True)


def test_removing_a_worker_ends_its_leases(directory: StreamDirectory) -> None:
    lease = directory.claim("gate", NOW)
    assert directory.remove_worker("b") == [lease]
    with pytest.raises(LeaseError, match="no worker serves"):
        directory.lease("gate", NOW)
    assert directory.claim("gate", NOW).owner == "a"


def test_a_lease_that_is_not_renewed_expires(directory: StreamDirectory) -> None:
    lease = directory.claim("gate", NOW)
    assert directory.expire(NOW + 29) == []
    assert directory.expire(NOW + 30) == [lease]
    with pytest.raises(LeaseError):
        directory.renew("gate", lease.owner, lease.epoch, NOW + 30)


def test_epochs_rise_across_release_and_a_restart_of_the_directory(
    directory: StreamDirectory,
) -> None:
    epochs = [directory.claim("gate", NOW).epoch for _ in range(3)]
    directory.release("gate", epochs[-1])
    epochs.append(directory.claim("gate", NOW).epoch)
    restarted = StreamDirectory()
    restarted.report("a", 0, 100, NOW + 60)
    epochs.append(restarted.claim("gate", NOW + 60).epoch)
    assert epochs == sorted(set(epochs))


def test_releasing_an_ended_lease_changes_nothing(directory: StreamDirectory) -> None:
    first = directory.claim("gate", NOW)
    second = directory.claim("gate", NOW)
    directory.release("gate", first.epoch)
    assert directory.lease("gate", NOW) == second


def test_the_error_for_an_unknown_stream_lists_those_of_its_site(
    directory: StreamDirectory,
) -> None:
    directory.claim("north.gate", NOW)
    directory.claim("south.secret", NOW)
    with pytest.raises(LeaseError, match=r"'north.door'; of that site are served: north.gate$"):
        directory.lease("north.door", NOW)


def test_a_claim_without_capacity_is_refused_with_the_number_of_workers() -> None:
    directory = StreamDirectory()
    with pytest.raises(NoCapacityError, match="none of 0 workers"):
        directory.claim("gate", NOW)
    directory.report("a", kv_used=100, kv_total=100, now=NOW)
    with pytest.raises(NoCapacityError, match="none of 1 workers"):
        directory.claim("gate", NOW)
