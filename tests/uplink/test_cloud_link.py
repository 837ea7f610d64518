"""The cloud's end of one connection: what it lets through, answers and refuses."""

from dataclasses import replace

import pytest

from codecsight.core.chunk import Chunk
from codecsight.uplink.cloud_link import CloudLink, SessionGrant, StreamRejected
from codecsight.uplink.messages import (
    PROTOCOL,
    Ack,
    Dropped,
    EdgeMessage,
    Heartbeat,
    Hello,
    NeedAnchor,
    RejectReason,
)
from tests.uplink.chunks import ANCHOR, SPEC, STREAM, anchor, delta

HELLO = Hello("north", STREAM, PROTOCOL, "test", SPEC.fingerprint, 640, 360, next_seq=100)


def cloud_at(next_seq: int | None = 100, window: int = 1 << 20, **hello: object) -> CloudLink:
    asked = replace(HELLO, **hello)  # type: ignore[arg-type]
    return CloudLink(asked, SessionGrant(5, SPEC, next_seq), now=0.0, window=window)


def give(cloud: CloudLink, *messages: EdgeMessage) -> list[object]:
    return [cloud.receive(message, now=1.0) for message in messages]


def refused(cloud: CloudLink, message: EdgeMessage) -> RejectReason:
    with pytest.raises(StreamRejected) as refusal:
        cloud.receive(message, now=1.0)
    assert refusal.value.reject.detail
    return refusal.value.reject.reason


class TestWelcome:
    def test_a_stream_that_is_known_goes_on_where_it_was(self) -> None:
        welcome = cloud_at(next_seq=42).welcome()
        assert (welcome.epoch, welcome.resume_seq, welcome.need_anchor) == (5, 42, False)
        assert welcome.spec == SPEC

    @pytest.mark.parametrize(
        ("next_seq", "hello"),
        [
            (None, {}),
            (200, {}),
            (100, {"fingerprint": ""}),
            (100, {"fingerprint": "another model's"}),
        ],
        ids=["unknown here", "an edge that began anew", "a new edge", "another grid"],
    )
    def test_otherwise_an_anchor_is_needed(
        self, next_seq: int | None, hello: dict[str, object]
    ) -> None:
        assert cloud_at(next_seq, **hello).welcome().need_anchor

    def test_another_protocol_is_refused_saying_which_end_to_upgrade(self) -> None:
        with pytest.raises(StreamRejected, match="upgrade the cloud") as refusal:
            cloud_at(protocol=PROTOCOL + 1)
        assert refusal.value.reject.reason is RejectReason.PROTOCOL


class TestOrder:
    def test_chunks_come_out_in_order_and_are_acknowledged_when_taken(self) -> None:
        cloud = cloud_at()
        first, second = anchor(epoch=5, seq=100), delta(epoch=5, seq=101)
        assert give(cloud, first, second) == [first, second]
        assert cloud.taken(100) == Ack(5, 100, 1 << 20)
        assert cloud.taken(101) == Ack(5, 101, 1 << 20)

    def test_an_ack_covers_only_what_has_been_taken(self) -> None:
        cloud = cloud_at()
        give(cloud, anchor(epoch=5, seq=100), delta(epoch=5, seq=101))
        assert cloud.receive(Dropped(102, 104, "full"), 1.0) == Ack(5, 99, 1 << 20)
        cloud.taken(100)
        assert cloud.taken(101) == Ack(5, 104, 1 << 20)

    def test_a_duplicate_is_acknowledged_again_and_not_applied(self) -> None:
        cloud = cloud_at()
        give(cloud, anchor(epoch=5, seq=100))
        cloud.taken(100)
        assert give(cloud, anchor(epoch=5, seq=100)) == [Ack(5, 100, 1 << 20)]
        assert cloud.duplicates == 1

    def test_a_hole_asks_for_an_anchor_once_and_lets_nothing_through_until_it_comes(self) -> None:
        cloud = cloud_at()
        out = give(cloud, delta(epoch=5, seq=103), delta(epoch=5, seq=104))
        assert isinstance(out[0], NeedAnchor)
        assert out[1] == Ack(5, 104, 1 << 20)
        assert cloud.discarded == 2
        assert isinstance(give(cloud, anchor(epoch=5, seq=105))[0], Chunk)

    def test_a_reported_hole_needs_no_asking(self) -> None:
        cloud = cloud_at()
        give(cloud, Dropped(100, 109, "full"))
        assert cloud.reported == 10
        assert isinstance(give(cloud, anchor(epoch=5, seq=110))[0], Chunk)

    def test_a_delta_right_after_a_reported_hole_is_not_let_through(self) -> None:
        cloud = cloud_at()
        give(cloud, Dropped(100, 109, "full"))
        assert isinstance(give(cloud, delta(epoch=5, seq=110))[0], Ack)
        assert cloud.discarded == 1

    def test_an_anchor_may_come_at_any_number_ahead(self) -> None:
        cloud = cloud_at()
        assert isinstance(give(cloud, anchor(epoch=5, seq=1_700_000_000_000))[0], Chunk)

    def test_when_the_receiver_lost_its_picture_deltas_are_passed_over(self) -> None:
        cloud = cloud_at()
        give(cloud, anchor(epoch=5, seq=100))
        assert cloud.require_anchor("evicted") == NeedAnchor(5, "evicted")
        assert isinstance(give(cloud, delta(epoch=5, seq=101))[0], Ack)
        assert isinstance(give(cloud, anchor(epoch=5, seq=102))[0], Chunk)


class TestRefusals:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (anchor(epoch=4, seq=100), RejectReason.OLD_EPOCH),
            (anchor(epoch=5, seq=100, stream="other"), RejectReason.UNKNOWN_STREAM),
            (anchor(epoch=5, seq=100, fingerprint="feed"), RejectReason.FINGERPRINT),
            (anchor(epoch=5, seq=100, bitmap=b""), RejectReason.MALFORMED),
            (anchor(epoch=5, seq=100, rows=1 << 30, cols=1 << 30), RejectReason.MALFORMED),
            (anchor(epoch=5, seq=100, mosaic=b"junk"), RejectReason.MALFORMED),
            (anchor(epoch=5, seq=100, codec="h264"), RejectReason.MALFORMED),
            (Dropped(5, 2, ""), RejectReason.MALFORMED),
            (HELLO, RejectReason.PROTOCOL),
        ],
        ids=["old epoch", "other stream", "other model", "bitmap", "too many cells", "mosaic",
             "codec", "backward drop", "second hello"],
    )  # fmt: skip
    def test_what_is_wrong_is_refused_with_its_reason(
        self, message: EdgeMessage, reason: RejectReason
    ) -> None:
        assert refused(cloud_at(), message) is reason

    def test_an_old_epoch_may_try_again_the_others_need_not(self) -> None:
        with pytest.raises(StreamRejected) as refusal:
            cloud_at().receive(anchor(epoch=4), 1.0)
        assert refusal.value.reject.retry_after_s > 0

    def test_sending_beyond_the_credits_is_refused_so_that_memory_stays_flat(self) -> None:
        cloud = cloud_at(window=2 * ANCHOR.size)
        give(cloud, anchor(epoch=5, seq=100), anchor(epoch=5, seq=101))
        assert refused(cloud, anchor(epoch=5, seq=102)) is RejectReason.PROTOCOL


class TestSilence:
    def test_any_message_is_a_sign_of_life(self) -> None:
        cloud = cloud_at()
        cloud.receive(Heartbeat(1_000.0, None), now=25.0)
        assert not cloud.silent(50.0)
        assert cloud.silent(56.0)
