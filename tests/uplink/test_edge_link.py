"""EdgeLink: what it sends, keeps and drops."""

from dataclasses import replace

import pytest

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.messages import Ack, Dropped, NeedAnchor, Reject, RejectReason, Welcome
from tests.uplink.chunks import ANCHOR, DELTA, SPEC, STREAM, anchor, delta

WELCOME = Welcome(
    epoch=5, resume_seq=0, needs_anchor=True, credits=1 << 20, heartbeat_s=10.0, spec=SPEC
)


def edge_with(capacity_bytes: int = 1 << 20) -> EdgeLink:
    edge = EdgeLink("north", STREAM, "test", start_seq=100, capacity_bytes=capacity_bytes)
    edge.connect(640, 360, now=0.0)
    edge.receive(WELCOME, now=0.0)
    assert edge.take_anchor_request()
    return edge


def sent(edge: EdgeLink, now: float = 1.0) -> list[str]:
    """The items sent: `A100` an anchor, `D101` a delta, `-102..104` a report of dropped chunks."""
    return [
        f"-{item.first}..{item.last}"
        if isinstance(item, Dropped)
        else f"{'A' if item.kind is SlotKind.ANCHOR else 'D'}{item.seq}"
        for item in edge.take_outgoing(now)
    ]


def offer(edge: EdgeLink, kinds: str, now: float = 1.0) -> None:
    for kind in kinds:
        edge.offer(anchor() if kind == "A" else delta(), now)


def ack(edge: EdgeLink, seq: int, credit_bytes: int = 1 << 20) -> None:
    edge.receive(Ack(edge.epoch, seq, credit_bytes), now=1.0)


class TestHandshake:
    def test_the_first_hello_has_no_fingerprint(self) -> None:
        edge = EdgeLink("north", STREAM, "test", start_seq=100)
        hello = edge.connect(640, 360, now=0.0)
        assert (hello.site, hello.stream, hello.fingerprint) == ("north", STREAM, "")
        assert (hello.width, hello.height, hello.next_seq) == (640, 360, 100)

    def test_nothing_is_sent_before_the_welcome(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        edge.connect(640, 360, now=2.0)
        assert not edge.connected
        assert sent(edge) == []

    def test_the_welcome_sets_the_grid_of_the_next_hello(self) -> None:
        edge = edge_with()
        assert edge.spec == SPEC
        assert edge.connect(640, 360, now=2.0).fingerprint == SPEC.fingerprint

    def test_a_rejection_is_kept_and_ends_the_connection(self) -> None:
        edge = edge_with()
        edge.receive(Reject(RejectReason.NO_CAPACITY, "full", 5.0), now=1.0)
        assert edge.rejection == Reject(RejectReason.NO_CAPACITY, "full", 5.0)
        assert not edge.connected

    def test_chunks_rejected_as_malformed_are_not_sent_again(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        sent(edge)
        edge.receive(Reject(RejectReason.MALFORMED, "junk", 0.0), now=1.0)
        assert edge.take_anchor_request()
        offer(edge, "A")
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=2.0)
        assert sent(edge) == ["-100..101", "A102"]


class TestSending:
    def test_chunks_are_sent_in_order_with_number_and_epoch(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        chunks = [item for item in edge.take_outgoing(1.0) if isinstance(item, Chunk)]
        assert [chunk.seq for chunk in chunks] == [100, 101, 102]
        assert {chunk.epoch for chunk in chunks} == {5}
        assert edge.take_outgoing(1.0) == []

    def test_acks_free_the_backlog(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        sent(edge)
        ack(edge, 101)
        assert edge.backlog_bytes == DELTA.size
        assert not edge.idle
        ack(edge, 102)
        assert (edge.backlog_bytes, edge.idle) == (0, True)

    def test_credits_bound_the_bytes_in_flight(self) -> None:
        edge = edge_with()
        edge.receive(replace(WELCOME, credits=ANCHOR.size + DELTA.size), now=0.0)
        offer(edge, "ADDD")
        assert sent(edge) == ["A100", "D101"]
        ack(edge, 100, credit_bytes=2 * DELTA.size)
        assert sent(edge) == ["D102"]

    def test_a_chunk_larger_than_the_credits_is_sent_alone(self) -> None:
        edge = edge_with()
        edge.receive(replace(WELCOME, credits=1), now=0.0)
        offer(edge, "AD")
        assert sent(edge) == ["A100"]
        ack(edge, 100, credit_bytes=1)
        assert sent(edge) == ["D101"]

    def test_nothing_is_sent_without_credits(self) -> None:
        edge = edge_with()
        edge.receive(replace(WELCOME, credits=0), now=0.0)
        offer(edge, "A")
        assert sent(edge) == []

    def test_an_ack_of_an_old_epoch_is_ignored(self) -> None:
        edge = edge_with()
        offer(edge, "A")
        sent(edge)
        edge.receive(Ack(4, 100, 0), now=1.0)
        assert edge.backlog_bytes == ANCHOR.size

    def test_deltas_before_the_first_anchor_are_dropped(self) -> None:
        edge = edge_with()
        offer(edge, "DDA")
        assert sent(edge) == ["-100..101", "A102"]


class TestOverflow:
    def test_the_oldest_group_loses_its_tail_which_is_reported_in_order(
        self,
    ) -> None:
        edge = edge_with(capacity_bytes=2 * ANCHOR.size + 3 * DELTA.size)
        edge.disconnect()
        offer(edge, "ADDADD")
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=1.0)
        assert sent(edge) == ["A100", "D101", "-102..102", "A103", "D104", "D105"]

    def test_an_old_group_is_dropped_whole_before_a_newer_one(self) -> None:
        edge = edge_with(capacity_bytes=ANCHOR.size + 2 * DELTA.size)
        edge.disconnect()
        offer(edge, "ADDADD")
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=1.0)
        assert sent(edge) == ["-100..102", "A103", "D104", "D105"]
        assert not edge.take_anchor_request()

    def test_dropping_from_the_newest_group_requests_an_anchor(self) -> None:
        edge = edge_with(capacity_bytes=ANCHOR.size + DELTA.size)
        edge.receive(replace(WELCOME, credits=0), now=0.0)
        edge.take_anchor_request()
        offer(edge, "ADD")
        assert edge.take_anchor_request()
        offer(edge, "D")
        assert not edge.take_anchor_request()  # already requested
        offer(edge, "AD")
        ack(edge, 99)
        assert sent(edge) == ["-100..103", "A104", "D105"]

    def test_chunks_in_flight_are_never_dropped(self) -> None:
        edge = edge_with(capacity_bytes=ANCHOR.size + DELTA.size)
        offer(edge, "AD")
        assert sent(edge) == ["A100", "D101"]
        offer(edge, "D")
        assert sent(edge) == ["-102..102"]
        ack(edge, 101)
        assert edge.take_anchor_request()

    def test_an_hour_of_outage_keeps_the_backlog_within_its_capacity(self) -> None:
        capacity_bytes = 4 * ANCHOR.size
        edge = edge_with(capacity_bytes)
        edge.disconnect()
        for second in range(3600):
            requested = edge.take_anchor_request()
            offer(edge, "A" if requested or second % 8 == 0 else "D", now=float(second))
            assert edge.backlog_bytes <= capacity_bytes
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=3600.0)
        out = sent(edge, now=3600.0)
        assert out[0].startswith("-100..")
        assert out[1].startswith("A")
        assert len(out) < 20


class TestResume:
    def test_after_a_lost_ack_nothing_is_sent_twice(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        sent(edge)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, epoch=6, needs_anchor=False, resume_seq=102), now=2.0)
        assert sent(edge) == ["D102"]

    def test_lost_chunks_are_sent_again_with_the_new_epoch(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        sent(edge)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, epoch=6, needs_anchor=False, resume_seq=101), now=2.0)
        again = edge.take_outgoing(2.0)
        assert [(c.seq, c.epoch) for c in again if isinstance(c, Chunk)] == [(101, 6), (102, 6)]

    def test_a_cloud_without_state_gets_the_newest_anchor(self) -> None:
        edge = edge_with()
        offer(edge, "ADDADD")
        edge.connect(640, 360, now=2.0)
        edge.receive(WELCOME, now=2.0)
        assert sent(edge) == ["-100..102", "A103", "D104", "D105"]
        assert not edge.take_anchor_request()

    def test_without_an_unsent_anchor_one_is_requested(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        sent(edge)
        ack(edge, 100)
        edge.connect(640, 360, now=2.0)
        edge.receive(WELCOME, now=2.0)
        assert edge.take_anchor_request()
        assert sent(edge) == ["-101..101"]

    def test_a_cloud_that_lost_acknowledged_chunks_gets_an_anchor(self) -> None:
        edge = edge_with()
        offer(edge, "ADDAD")
        sent(edge)
        ack(edge, 101)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=2.0)
        assert sent(edge) == ["-102..102", "A103", "D104"]

    def test_after_a_long_outage_the_link_skips_to_the_newest_anchor(self) -> None:
        edge = edge_with()
        edge.disconnect()
        offer(edge, "ADADD", now=10.0)
        offer(edge, "AD", now=38.0)
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=45.0)
        assert sent(edge, now=45.0) == ["-100..104", "A105", "D106"]

    def test_during_an_outage_the_dropped_slots_are_counted(self) -> None:
        edge = edge_with()
        edge.disconnect()
        counts = []
        for second in range(10, 310, 10):  # five minutes: an anchor and a delta every 10 s
            offer(edge, "AD", now=float(second))
            counts.append(edge.dropped_count)
        assert counts[3] == 0  # nothing has waited longer than 30 s
        assert counts == sorted(counts)
        waiting = 2 * 30 - counts[-1]
        assert 2 <= waiting <= 8  # the newest group, and what came in the last 30 s
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=305.0)
        gap, first, *_ = sent(edge, now=305.0)
        assert gap == f"-100..{99 + counts[-1]}"
        assert first == f"A{100 + counts[-1]}"

    def test_after_a_short_outage_every_chunk_is_sent(self) -> None:
        edge = edge_with()
        edge.disconnect()
        offer(edge, "ADAD", now=10.0)
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=20.0)
        assert sent(edge, now=20.0) == ["A100", "D101", "A102", "D103"]

    def test_a_lost_report_is_sent_again(self) -> None:
        edge = edge_with()
        offer(edge, "DA")
        assert sent(edge) == ["-100..100", "A101"]
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, needs_anchor=False, resume_seq=100), now=2.0)
        assert sent(edge) == ["-100..100", "A101"]


class TestAnchorsAndGrids:
    def test_an_anchor_request_drops_the_unsent_deltas(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        sent(edge)
        offer(edge, "DD")
        edge.receive(NeedAnchor(5, "evicted"), now=1.0)
        assert edge.take_anchor_request()
        offer(edge, "A")
        assert sent(edge) == ["-102..103", "A104"]

    def test_an_anchor_request_of_an_old_epoch_is_ignored(self) -> None:
        edge = edge_with()
        edge.receive(NeedAnchor(4, "evicted"), now=1.0)
        assert not edge.take_anchor_request()

    def test_another_model_drops_the_chunks_of_the_old_one(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        other = replace(SPEC, cell=32)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, epoch=6, spec=other), now=2.0)
        assert edge.spec == other
        offer(edge, "D")  # from the tracker of the old model
        edge.offer(anchor(fingerprint=other.fingerprint), 2.0)
        assert sent(edge) == ["-100..102", "A103"]


class TestHeartbeat:
    def test_heartbeats_are_due_at_once_and_then_at_the_clouds_interval(self) -> None:
        edge = edge_with()
        assert edge.heartbeat(0.0, 1_000.0, None) is not None
        assert edge.heartbeat(9.9, 1_009.9, None) is None
        assert edge.heartbeat(10.0, 1_010.0, None) is not None

    @pytest.mark.parametrize(("now", "dead"), [(29.0, False), (31.0, True)])
    def test_three_missed_heartbeats_time_out(self, now: float, dead: bool) -> None:
        assert edge_with().timed_out(now) is dead
