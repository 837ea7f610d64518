"""CloudLink: the chunks it returns, its replies and its rejections."""

from dataclasses import replace

import pytest

from codecsight.core.chunk import Chunk
from codecsight.uplink.cloud_link import CloudLink, SessionGrant, StreamRejected
from codecsight.uplink.messages import (
    PROTOCOL_VERSION,
    Ack,
    Dropped,
    EdgeMessage,
    Heartbeat,
    Hello,
    NeedAnchor,
    RejectReason,
)
from tests.uplink.chunks import ANCHOR, SPEC, STREAM, anchor, delta

HELLO = Hello("north", STREAM, PROTOCOL_VERSION, "test", SPEC.fingerprint, 640, 360, next_seq=100)


def cloud_at(next_seq: int | None = 100, credit_bytes: int = 1 << 20, **hello: object) -> CloudLink:
    """A link of epoch 5 whose owner holds all chunks below `next_seq`."""
    changed = replace(HELLO, **hello)  # type: ignore[arg-type]
    grant = SessionGrant(5, SPEC, next_seq)
    return CloudLink(changed, grant, now=0.0, credit_bytes=credit_bytes)


def receive_all(cloud: CloudLink, *messages: EdgeMessage) -> list[object]:
    return [cloud.receive(message, now=1.0) for message in messages]


def rejected(cloud: CloudLink, message: EdgeMessage) -> RejectReason:
    with pytest.raises(StreamRejected) as rejection:
        cloud.receive(message, now=1.0)
    assert rejection.value.reject.detail
    return rejection.value.reject.reason


class TestWelcome:
    def test_a_known_stream_resumes_at_its_next_chunk(self) -> None:
        welcome = cloud_at(next_seq=42).welcome()
        assert (welcome.epoch, welcome.resume_seq, welcome.needs_anchor) == (5, 42, False)
        assert welcome.spec == SPEC

    @pytest.mark.parametrize(
        ("next_seq", "hello"),
        [
            (None, {}),
            (200, {}),
            (100, {"fingerprint": ""}),
            (100, {"fingerprint": "another model's"}),
        ],
        ids=["unknown stream", "edge that lost its state", "new edge", "another grid"],
    )
    def test_any_other_stream_needs_an_anchor(
        self, next_seq: int | None, hello: dict[str, object]
    ) -> None:
        assert cloud_at(next_seq, **hello).welcome().needs_anchor

    def test_another_protocol_version_is_rejected_with_the_end_to_upgrade(self) -> None:
        with pytest.raises(StreamRejected, match="upgrade the cloud") as rejection:
            cloud_at(protocol=PROTOCOL_VERSION + 1)
        assert rejection.value.reject.reason is RejectReason.PROTOCOL


class TestOrder:
    def test_chunks_are_returned_in_order_and_acknowledged_when_stored(self) -> None:
        cloud = cloud_at()
        first, second = anchor(epoch=5, seq=100), delta(epoch=5, seq=101)
        assert receive_all(cloud, first, second) == [first, second]
        assert cloud.acknowledge(100) == Ack(5, 100, 1 << 20)
        assert cloud.acknowledge(101) == Ack(5, 101, 1 << 20)

    def test_an_ack_covers_stored_chunks_only(self) -> None:
        cloud = cloud_at()
        receive_all(cloud, anchor(epoch=5, seq=100), delta(epoch=5, seq=101))
        assert cloud.receive(Dropped(102, 104, "full"), 1.0) == Ack(5, 99, 1 << 20)
        cloud.acknowledge(100)
        assert cloud.acknowledge(101) == Ack(5, 104, 1 << 20)

    def test_a_duplicate_is_acknowledged_again_and_not_returned(self) -> None:
        cloud = cloud_at()
        receive_all(cloud, anchor(epoch=5, seq=100))
        cloud.acknowledge(100)
        assert receive_all(cloud, anchor(epoch=5, seq=100)) == [Ack(5, 100, 1 << 20)]
        assert cloud.duplicates == 1

    def test_a_gap_requests_one_anchor_and_discards_chunks_until_it_arrives(self) -> None:
        cloud = cloud_at()
        out = receive_all(cloud, delta(epoch=5, seq=103), delta(epoch=5, seq=104))
        assert isinstance(out[0], NeedAnchor)
        assert out[1] == Ack(5, 104, 1 << 20)
        assert cloud.discarded == 2
        assert isinstance(receive_all(cloud, anchor(epoch=5, seq=105))[0], Chunk)

    def test_a_reported_gap_requests_no_anchor(self) -> None:
        cloud = cloud_at()
        receive_all(cloud, Dropped(100, 109, "full"))
        assert cloud.reported_dropped == 10
        assert isinstance(receive_all(cloud, anchor(epoch=5, seq=110))[0], Chunk)

    def test_a_delta_right_after_a_reported_gap_is_discarded(self) -> None:
        cloud = cloud_at()
        receive_all(cloud, Dropped(100, 109, "full"))
        assert isinstance(receive_all(cloud, delta(epoch=5, seq=110))[0], Ack)
        assert cloud.discarded == 1

    def test_an_anchor_may_have_any_higher_number(self) -> None:
        cloud = cloud_at()
        assert isinstance(receive_all(cloud, anchor(epoch=5, seq=1_700_000_000_000))[0], Chunk)

    def test_deltas_are_discarded_after_an_anchor_is_required(self) -> None:
        cloud = cloud_at()
        receive_all(cloud, anchor(epoch=5, seq=100))
        assert cloud.require_anchor("evicted") == NeedAnchor(5, "evicted")
        assert isinstance(receive_all(cloud, delta(epoch=5, seq=101))[0], Ack)
        assert isinstance(receive_all(cloud, anchor(epoch=5, seq=102))[0], Chunk)


class TestRejections:
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
    def test_an_invalid_message_is_rejected_with_its_reason(
        self, message: EdgeMessage, reason: RejectReason
    ) -> None:
        assert rejected(cloud_at(), message) is reason

    def test_an_old_epoch_is_told_when_to_retry(self) -> None:
        with pytest.raises(StreamRejected) as rejection:
            cloud_at().receive(anchor(epoch=4), 1.0)
        assert rejection.value.reject.retry_after_s > 0

    def test_a_chunk_beyond_the_credits_is_rejected(self) -> None:
        cloud = cloud_at(credit_bytes=2 * ANCHOR.size)
        receive_all(cloud, anchor(epoch=5, seq=100), anchor(epoch=5, seq=101))
        assert rejected(cloud, anchor(epoch=5, seq=102)) is RejectReason.PROTOCOL


class TestTimeout:
    def test_any_message_resets_the_timeout(self) -> None:
        cloud = cloud_at()
        cloud.receive(Heartbeat(1_000.0, None), now=25.0)
        assert not cloud.timed_out(50.0)
        assert cloud.timed_out(56.0)
