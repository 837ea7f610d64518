"""The edge's end: what is sent when, what is kept, what is given up."""

from dataclasses import replace

import pytest

from codecsight.core.chunk import Chunk
from codecsight.core.slot import SlotKind
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.messages import Ack, Dropped, NeedAnchor, Reject, RejectReason, Welcome
from tests.uplink.chunks import ANCHOR, DELTA, SPEC, STREAM, anchor, delta

WELCOME = Welcome(
    epoch=5, resume_seq=0, need_anchor=True, credits=1 << 20, heartbeat_s=10.0, spec=SPEC
)


def edge_with(capacity: int = 1 << 20) -> EdgeLink:
    edge = EdgeLink("north", STREAM, "test", start_seq=100, capacity=capacity)
    edge.connect(640, 360, now=0.0)
    edge.receive(WELCOME, now=0.0)
    assert edge.take_anchor_request()
    return edge


def sent(edge: EdgeLink, now: float = 1.0) -> list[str]:
    """What goes out, as `A100` for an anchor, `D101` for a delta, `-102..104` for a report."""
    return [
        f"-{item.first}..{item.last}"
        if isinstance(item, Dropped)
        else f"{'A' if item.kind is SlotKind.ANCHOR else 'D'}{item.seq}"
        for item in edge.outgoing(now)
    ]


def offer(edge: EdgeLink, kinds: str, now: float = 1.0) -> None:
    for kind in kinds:
        edge.offer(anchor() if kind == "A" else delta(), now)


def ack(edge: EdgeLink, seq: int, credits_: int = 1 << 20) -> None:
    edge.receive(Ack(edge.epoch, seq, credits_), now=1.0)


class TestHandshake:
    def test_the_first_hello_knows_no_grid_yet(self) -> None:
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

    def test_the_welcome_brings_the_grid_and_the_next_hello_names_it(self) -> None:
        edge = edge_with()
        assert edge.spec == SPEC
        assert edge.connect(640, 360, now=2.0).fingerprint == SPEC.fingerprint

    def test_a_rejection_is_kept_for_who_asks(self) -> None:
        edge = edge_with()
        edge.receive(Reject(RejectReason.NO_CAPACITY, "full", 5.0), now=1.0)
        assert edge.rejected == Reject(RejectReason.NO_CAPACITY, "full", 5.0)
        assert not edge.connected

    def test_what_the_cloud_cannot_read_is_not_shown_to_it_again(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        sent(edge)
        edge.receive(Reject(RejectReason.MALFORMED, "junk", 0.0), now=1.0)
        assert edge.take_anchor_request()
        offer(edge, "A")
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=2.0)
        assert sent(edge) == ["-100..101", "A102"]


class TestSending:
    def test_chunks_go_in_order_with_number_and_epoch(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        chunks = [item for item in edge.outgoing(1.0) if isinstance(item, Chunk)]
        assert [chunk.seq for chunk in chunks] == [100, 101, 102]
        assert {chunk.epoch for chunk in chunks} == {5}
        assert edge.outgoing(1.0) == []

    def test_acks_free_memory(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        sent(edge)
        ack(edge, 101)
        assert edge.backlog_bytes == DELTA.size
        assert not edge.idle
        ack(edge, 102)
        assert (edge.backlog_bytes, edge.idle) == (0, True)

    def test_credits_bound_the_bytes_under_way(self) -> None:
        edge = edge_with()
        edge.receive(replace(WELCOME, credits=ANCHOR.size + DELTA.size), now=0.0)
        offer(edge, "ADDD")
        assert sent(edge) == ["A100", "D101"]
        ack(edge, 100, credits_=2 * DELTA.size)
        assert sent(edge) == ["D102"]

    def test_a_chunk_larger_than_the_credits_goes_alone_or_it_would_wait_for_ever(self) -> None:
        edge = edge_with()
        edge.receive(replace(WELCOME, credits=1), now=0.0)
        offer(edge, "AD")
        assert sent(edge) == ["A100"]
        ack(edge, 100, credits_=1)
        assert sent(edge) == ["D101"]

    def test_without_any_credit_nothing_goes(self) -> None:
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

    def test_deltas_without_an_anchor_before_them_are_never_sent(self) -> None:
        edge = edge_with()
        offer(edge, "DDA")
        assert sent(edge) == ["-100..101", "A102"]


class TestOverflow:
    def test_the_oldest_group_loses_its_tail_and_the_report_stands_in_its_place(
        self,
    ) -> None:
        edge = edge_with(capacity=2 * ANCHOR.size + 3 * DELTA.size)
        edge.disconnect()
        offer(edge, "ADDADD")
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=1.0)
        assert sent(edge) == ["A100", "D101", "-102..102", "A103", "D104", "D105"]

    def test_old_groups_go_whole_before_newer_ones_are_touched(self) -> None:
        edge = edge_with(capacity=ANCHOR.size + 2 * DELTA.size)
        edge.disconnect()
        offer(edge, "ADDADD")
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=1.0)
        assert sent(edge) == ["-100..102", "A103", "D104", "D105"]
        assert not edge.take_anchor_request()

    def test_a_newest_group_that_is_cut_asks_for_an_anchor_and_waits_for_it(self) -> None:
        edge = edge_with(capacity=ANCHOR.size + DELTA.size)
        edge.receive(replace(WELCOME, credits=0), now=0.0)
        edge.take_anchor_request()
        offer(edge, "ADD")
        assert edge.take_anchor_request()
        offer(edge, "D")
        assert not edge.take_anchor_request()  # it was asked for already
        offer(edge, "AD")
        ack(edge, 99)
        assert sent(edge) == ["-100..103", "A104", "D105"]

    def test_what_is_under_way_is_never_dropped(self) -> None:
        edge = edge_with(capacity=ANCHOR.size + DELTA.size)
        offer(edge, "AD")
        assert sent(edge) == ["A100", "D101"]
        offer(edge, "D")
        assert sent(edge) == ["-102..102"]
        ack(edge, 101)
        assert edge.take_anchor_request()

    def test_an_hour_of_outage_costs_no_more_than_the_capacity(self) -> None:
        capacity = 4 * ANCHOR.size
        edge = edge_with(capacity)
        edge.disconnect()
        for second in range(3600):
            wanted = edge.take_anchor_request()
            offer(edge, "A" if wanted or second % 8 == 0 else "D", now=float(second))
            assert edge.backlog_bytes <= capacity
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=3600.0)
        out = sent(edge, now=3600.0)
        assert out[0].startswith("-100..")
        assert out[1].startswith("A")
        assert len(out) < 20


class TestResume:
    def test_a_lost_ack_leads_to_no_second_sending(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        sent(edge)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, epoch=6, need_anchor=False, resume_seq=102), now=2.0)
        assert sent(edge) == ["D102"]

    def test_what_was_lost_on_the_way_is_sent_again_under_the_new_epoch(self) -> None:
        edge = edge_with()
        offer(edge, "ADD")
        sent(edge)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, epoch=6, need_anchor=False, resume_seq=101), now=2.0)
        again = edge.outgoing(2.0)
        assert [(c.seq, c.epoch) for c in again if isinstance(c, Chunk)] == [(101, 6), (102, 6)]

    def test_a_cloud_without_memory_gets_the_newest_anchor(self) -> None:
        edge = edge_with()
        offer(edge, "ADDADD")
        edge.connect(640, 360, now=2.0)
        edge.receive(WELCOME, now=2.0)
        assert sent(edge) == ["-100..102", "A103", "D104", "D105"]
        assert not edge.take_anchor_request()

    def test_where_no_anchor_is_left_one_is_asked_for(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        sent(edge)
        ack(edge, 100)
        edge.connect(640, 360, now=2.0)
        edge.receive(WELCOME, now=2.0)
        assert edge.take_anchor_request()
        assert sent(edge) == ["-101..101"]

    def test_a_cloud_that_fell_back_gets_an_anchor_not_a_hole(self) -> None:
        edge = edge_with()
        offer(edge, "ADDAD")
        sent(edge)
        ack(edge, 101)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=2.0)
        assert sent(edge) == ["-102..102", "A103", "D104"]

    def test_after_a_long_outage_only_the_newest_anchor_counts(self) -> None:
        edge = edge_with()
        edge.disconnect()
        offer(edge, "ADADD", now=10.0)
        offer(edge, "AD", now=38.0)
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=45.0)
        assert sent(edge, now=45.0) == ["-100..104", "A105", "D106"]

    def test_after_a_short_one_everything_is_made_up_for(self) -> None:
        edge = edge_with()
        edge.disconnect()
        offer(edge, "ADAD", now=10.0)
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=20.0)
        assert sent(edge, now=20.0) == ["A100", "D101", "A102", "D103"]

    def test_a_report_that_was_lost_is_made_again(self) -> None:
        edge = edge_with()
        offer(edge, "DA")
        assert sent(edge) == ["-100..100", "A101"]
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, need_anchor=False, resume_seq=100), now=2.0)
        assert sent(edge) == ["-100..100", "A101"]


class TestAnchorsAndGrids:
    def test_the_clouds_wish_for_an_anchor_drops_the_useless_deltas(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        sent(edge)
        offer(edge, "DD")
        edge.receive(NeedAnchor(5, "evicted"), now=1.0)
        assert edge.take_anchor_request()
        offer(edge, "A")
        assert sent(edge) == ["-102..103", "A104"]

    def test_a_wish_of_an_old_epoch_is_ignored(self) -> None:
        edge = edge_with()
        edge.receive(NeedAnchor(4, "evicted"), now=1.0)
        assert not edge.take_anchor_request()

    def test_another_model_makes_the_old_cells_worthless(self) -> None:
        edge = edge_with()
        offer(edge, "AD")
        other = replace(SPEC, cell=32)
        edge.connect(640, 360, now=2.0)
        edge.receive(replace(WELCOME, epoch=6, spec=other), now=2.0)
        assert edge.spec == other
        offer(edge, "D")  # the old tracker, still at it
        edge.offer(anchor(fingerprint=other.fingerprint), 2.0)
        assert sent(edge) == ["-100..102", "A103"]


class TestSilence:
    def test_heartbeats_are_due_at_once_and_then_in_the_clouds_rhythm(self) -> None:
        edge = edge_with()
        assert edge.heartbeat(0.0, 1_000.0, None) is not None
        assert edge.heartbeat(9.9, 1_009.9, None) is None
        assert edge.heartbeat(10.0, 1_010.0, None) is not None

    @pytest.mark.parametrize(("now", "dead"), [(29.0, False), (31.0, True)])
    def test_three_missed_heartbeats_are_a_dead_connection(self, now: float, dead: bool) -> None:
        assert edge_with().silent(now) is dead
