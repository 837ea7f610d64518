"""Limits for each peer: calls at the same time, and refusals in the log."""

import pytest

from actors.rpc.peer_limits import MAX_PEERS, CallLimit, RefusalLog, TooManyCallsError


def test_a_caller_has_a_number_of_calls_at_the_same_time() -> None:
    limit = CallLimit(2)
    with limit.hold("a"), limit.hold("a"):
        with pytest.raises(TooManyCallsError, match=r"2 questions .*limits\.questions"):
            limit.hold("a").__enter__()
        with limit.hold("b"):
            pass
    with limit.hold("a"), limit.hold("a"):
        pass
    assert not limit._running


def test_a_peers_first_refusals_are_logged_and_the_others_counted() -> None:
    log = RefusalLog()
    assert [log.admit("a", 100 + i / 100) for i in range(8)] == [0] * 5 + [None] * 3
    assert log.admit("b", 101) == 0
    assert log.admit("a", 159) is None
    assert log.admit("a", 161) == 4
    assert log.admit("a", 162) == 0


def test_the_number_of_peers_is_bounded() -> None:
    log = RefusalLog()
    for number in range(3 * MAX_PEERS):
        log.admit(str(number), 100)
    assert len(log._seen) == MAX_PEERS
