"""Who owns a stream."""

import pytest

from codecsight.uplink.leases import LeaseError, NoCapacityError, StreamDirectory

NOW = 1_700_000_000.0


@pytest.fixture
def directory() -> StreamDirectory:
    """Two workers: `a` half full, `b` a quarter."""
    directory = StreamDirectory(lease_s=30.0, worker_s=15.0)
    directory.report("a", used=50, total=100, now=NOW)
    directory.report("b", used=50, total=200, now=NOW)
    return directory


def test_a_stream_goes_to_the_worker_with_the_least_kv_load(directory: StreamDirectory) -> None:
    lease = directory.claim("gate", NOW)
    assert (lease.owner, lease.until) == ("b", NOW + 30)
    assert directory.lease("gate", NOW) == lease


def test_many_streams_at_once_do_not_all_go_to_one_worker(directory: StreamDirectory) -> None:
    directory = StreamDirectory()
    for worker in "abcd":
        directory.report(worker, used=0, total=1000, now=NOW)
    owners = [directory.claim(f"camera{n}", NOW).owner for n in range(20)]
    assert {owners.count(worker) for worker in "abcd"} == {5}


def test_every_claim_has_a_higher_epoch_and_keeps_a_living_owner(
    directory: StreamDirectory,
) -> None:
    first = directory.claim("gate", NOW)
    directory.report("a", used=0, total=100, now=NOW)
    again = directory.claim("gate", NOW)
    assert again.epoch > first.epoch
    assert again.owner == first.owner


def test_the_loser_of_a_race_cannot_renew(directory: StreamDirectory) -> None:
    first = directory.claim("gate", NOW)
    second = directory.claim("gate", NOW)
    with pytest.raises(LeaseError, match=f"epoch {first.epoch} of b is over"):
        directory.renew("gate", "b", first.epoch, NOW)
    assert directory.renew("gate", "b", second.epoch, NOW + 10).until == NOW + 40


def test_a_dead_owner_loses_its_streams_to_a_living_one(directory: StreamDirectory) -> None:
    first = directory.claim("gate", NOW)
    directory.report("a", used=50, total=100, now=NOW + 20)  # b is silent for 20 s
    second = directory.claim("gate", NOW + 20)
    assert (second.owner, second.epoch > first.epoch) == ("a", True)


def test_a_worker_that_is_gone_gives_back_its_leases(directory: StreamDirectory) -> None:
    lease = directory.claim("gate", NOW)
    assert directory.forget("b") == [lease]
    with pytest.raises(LeaseError, match="nobody watches"):
        directory.lease("gate", NOW)
    assert directory.claim("gate", NOW).owner == "a"


def test_a_lease_that_is_not_renewed_runs_out(directory: StreamDirectory) -> None:
    lease = directory.claim("gate", NOW)
    assert directory.expire(NOW + 29) == []
    assert directory.expire(NOW + 30) == [lease]
    with pytest.raises(LeaseError):
        directory.renew("gate", lease.owner, lease.epoch, NOW + 30)


def test_epochs_rise_over_expiry_release_and_a_directory_without_memory(
    directory: StreamDirectory,
) -> None:
    epochs = [directory.claim("gate", NOW).epoch for _ in range(3)]
    directory.release("gate", epochs[-1])
    epochs.append(directory.claim("gate", NOW).epoch)
    restarted = StreamDirectory()
    restarted.report("a", 0, 100, NOW + 60)
    epochs.append(restarted.claim("gate", NOW + 60).epoch)
    assert epochs == sorted(set(epochs))


def test_a_release_of_a_lost_lease_changes_nothing(directory: StreamDirectory) -> None:
    first = directory.claim("gate", NOW)
    second = directory.claim("gate", NOW)
    directory.release("gate", first.epoch)
    assert directory.lease("gate", NOW) == second


def test_an_unknown_stream_is_answered_with_the_known_ones(directory: StreamDirectory) -> None:
    directory.claim("gate", NOW)
    with pytest.raises(LeaseError, match=r"'door'; watched: gate"):
        directory.lease("door", NOW)


def test_no_worker_or_none_with_memory_is_said_clearly() -> None:
    directory = StreamDirectory()
    with pytest.raises(NoCapacityError, match="none of 0 workers"):
        directory.claim("gate", NOW)
    directory.report("a", used=100, total=100, now=NOW)
    with pytest.raises(NoCapacityError, match="none of 1 workers"):
        directory.claim("gate", NOW)
