"""What strangers and broken sites send: each refused with a reason, the neighbour unharmed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from actors.rpc import uplink_service
from actors.rpc.convert_uplink import from_response, to_request
from actors.rpc.transport import MAX_MESSAGE
from actors.wire import uplink_pb2 as wire
from actors.wire.uplink_pb2_grpc import UplinkServiceStub
from codecsight.uplink.messages import (
    PROTOCOL,
    CloudMessage,
    Dropped,
    Hello,
    Reject,
    RejectReason,
    Welcome,
)
from tests.actors.rpc.memory_host import MemoryHost, of_stream, serving, site, until, welcomed
from tests.uplink.chunks import SPEC, STREAM, anchor, padded_jpeg

HELLO = Hello("north", STREAM, PROTOCOL, "test", SPEC.fingerprint, 640, 360, next_seq=100)
NEIGHBOUR = "south.door"
METHOD = "/codecsight.v1.UplinkService/Stream"


class Stranger:
    """Speaks the wire by hand, and may say anything."""

    def __init__(self, port: int) -> None:
        # Without the limits that our own client keeps.
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.call = UplinkServiceStub(self._channel).Stream()
        self.epoch = 0

    async def hello(self, **claims: object) -> CloudMessage | None:
        await self.call.write(to_request(replace(HELLO, **claims)))  # type: ignore[arg-type]
        answer = await self.answer()
        if isinstance(answer, Welcome):
            self.epoch = answer.epoch
        return answer

    async def answer(self) -> CloudMessage | None:
        """The next answer; None when the call is over."""
        response = await asyncio.wait_for(self.call.read(), 10)
        return from_response(response) if isinstance(response, wire.StreamResponse) else None

    async def rejection(self) -> Reject:
        while not isinstance(answer := await self.answer(), Reject):
            assert answer is not None, "the call ended without a Reject"
        assert await self.answer() is None
        return answer

    async def close(self) -> None:
        self.call.cancel()
        await self._channel.close()


@asynccontextmanager
async def scene() -> AsyncIterator[tuple[MemoryHost, Stranger]]:
    """A gateway with a well-behaved neighbour, and a stranger. The neighbour must still be served
    on its first connection when all is over.
    """
    host = MemoryHost()
    async with serving(host) as server, site(server.port, "south") as client:
        link = await welcomed(client.open(NEIGHBOUR, 640, 360))
        epoch = link.edge.epoch
        stranger = Stranger(server.port)
        try:
            yield host, stranger
        finally:
            await stranger.close()
        link.offer(of_stream(anchor(), NEIGHBOUR))
        await until(lambda: link.edge.idle)
        assert len(host.slots[NEIGHBOUR]) == 1
        assert link.edge.epoch == epoch


@pytest.mark.parametrize(
    ("claims", "reason", "detail"),
    [
        ({"bitmap": b""}, RejectReason.MALFORMED, "bitmap of 0 bytes for 4 cells"),
        ({"bitmap": b"\xff"}, RejectReason.MALFORMED, "beyond the last"),
        ({"rows": 4000, "cols": 4000}, RejectReason.MALFORMED, "1 to 16 are allowed"),
        ({"rows": 4, "cols": 4, "bitmap": b"\xff\xff", "reasons": b"\x01" * 16},
         RejectReason.MALFORMED, "bitmap asks for"),
        ({"mosaic": b"\x89PNG junk"}, RejectReason.MALFORMED, "no whole lossless picture"),
        ({"times": (float("nan"), 1.0)}, RejectReason.MALFORMED, "not a finite number"),
        ({"epoch": 1}, RejectReason.OLD_EPOCH, "epoch 1 is not the current"),
        ({"stream": "north.other"}, RejectReason.UNKNOWN_STREAM, "north.other"),
        ({"fingerprint": "feedfeedfeedfeed"}, RejectReason.FINGERPRINT, "model grid"),
        ({"codec": "h265"}, RejectReason.MALFORMED, "no patch codec is named 'h265'"),
        ({"kind": 7}, RejectReason.MALFORMED, "unknown kind 7"),
        ({"stream": "x" * 5000}, RejectReason.MALFORMED, "at most 1000"),
    ],
    ids=["no bitmap", "wrong bitmap", "too many cells", "too large a mosaic", "junk mosaic",
         "time", "old epoch", "other stream", "other model", "unknown codec", "unknown kind",
         "endless name"],
)  # fmt: skip
def test_a_bad_chunk_is_refused(
    claims: dict[str, object], reason: RejectReason, detail: str
) -> None:
    async def run() -> None:
        async with scene() as (host, stranger):
            await stranger.hello()
            good = anchor(epoch=stranger.epoch, seq=100)
            await stranger.call.write(to_request(replace(good, **claims)))  # type: ignore[arg-type]
            rejection = await stranger.rejection()
            assert rejection.reason is reason
            assert detail in rejection.detail
            assert not host.slots[STREAM]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("claims", "reason", "detail"),
    [
        ({"stream": "south.door"}, RejectReason.UNKNOWN_STREAM, "named north.CAMERA"),
        ({"stream": "north."}, RejectReason.UNKNOWN_STREAM, "named north.CAMERA"),
        ({"site": "west", "stream": "west.gate"}, RejectReason.UNKNOWN_STREAM, "list of sites"),
        ({"protocol": 99}, RejectReason.PROTOCOL, "upgrade the cloud"),
        ({"width": 0}, RejectReason.MALFORMED, "0x360 pixels"),
        ({"height": 10**9}, RejectReason.MALFORMED, "1000000000 pixels"),
    ],
    ids=[
        "another site's stream",
        "no camera",
        "unknown site",
        "newer protocol",
        "no picture",
        "too large a picture",
    ],
)
def test_a_bad_hello_is_refused(
    claims: dict[str, object], reason: RejectReason, detail: str
) -> None:
    async def run() -> None:
        async with scene() as (_, stranger):
            rejection = await stranger.hello(**claims)
            assert isinstance(rejection, Reject)
            assert rejection.reason is reason
            assert detail in rejection.detail

    asyncio.run(run())


def test_a_caller_who_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_service, "HANDSHAKE_S", 0.3)

    async def run() -> None:
        async with scene() as (_, stranger):
            assert (await stranger.rejection()).detail == "no Hello came"

    asyncio.run(run())


def test_a_thousand_connections_at_once_harm_nobody() -> None:
    async def run() -> None:
        async with scene() as (host, stranger):
            host.directory.report("gpu:here:0", 0, 100_000, time.time())
            stub = UplinkServiceStub(stranger._channel)
            calls = [stub.Stream() for _ in range(1000)]
            for number, call in enumerate(calls):
                hello = replace(HELLO, stream=f"north.{number}")
                await call.write(to_request(hello))
            for call in calls:
                response = await asyncio.wait_for(call.read(), 30)
                assert isinstance(response, wire.StreamResponse)
                assert isinstance(from_response(response), Welcome)
                call.cancel()
            await until(lambda: len(host.closings) == 1000)

    asyncio.run(run())


def test_a_chunk_before_any_hello_is_refused() -> None:
    async def run() -> None:
        async with scene() as (_, stranger):
            await stranger.call.write(to_request(anchor(epoch=1, seq=1)))
            assert (await stranger.rejection()).reason is RejectReason.PROTOCOL

    asyncio.run(run())


def test_more_bytes_than_credited_are_refused_even_while_the_worker_is_stuck() -> None:
    async def run() -> None:
        async with scene() as (host, stranger):
            host.room.clear()
            await stranger.hello()
            big = anchor(epoch=stranger.epoch, codec="jpeg", mosaic=padded_jpeg(640 << 10))

            async def flood() -> None:
                for seq in range(100, 200):
                    await stranger.call.write(to_request(replace(big, seq=seq)))

            flooding = asyncio.create_task(flood())
            answer = await stranger.answer()
            assert isinstance(answer, Reject)
            assert "credited" in answer.detail
            flooding.cancel()
            host.room.set()

    asyncio.run(run())


def test_an_oversized_message_ends_its_call_only() -> None:
    async def run() -> None:
        async with scene() as (_, stranger):
            await stranger.hello()
            huge = anchor(epoch=stranger.epoch, seq=100, mosaic=bytes(MAX_MESSAGE + 1))
            await stranger.call.write(to_request(huge))
            assert await stranger.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(run())


def test_bytes_that_are_no_message_end_their_call_only() -> None:
    async def run() -> None:
        async with scene() as (_, stranger):
            call = stranger._channel.stream_stream(METHOD)()
            await call.write(b"\xff\xff\xff\xff not protobuf")
            assert await asyncio.wait_for(call.code(), 10) is not grpc.StatusCode.OK

    asyncio.run(run())


def test_an_empty_message_of_a_newer_edge_is_passed_over() -> None:
    async def run() -> None:
        async with scene() as (host, stranger):
            await stranger.hello()
            await stranger.call.write(wire.StreamRequest())
            await stranger.call.write(to_request(anchor(epoch=stranger.epoch, seq=100)))
            await until(lambda: host.slots[STREAM])

    asyncio.run(run())


def test_a_lie_about_drops_hurts_only_the_liar() -> None:
    async def run() -> None:
        async with scene() as (_, stranger):
            await stranger.hello()
            await stranger.call.write(to_request(Dropped(100, 2**62, "all of it")))
            await stranger.call.write(to_request(Dropped(7, 3, "backwards")))
            assert (await stranger.rejection()).reason is RejectReason.MALFORMED

    asyncio.run(run())


def test_a_site_that_falls_silent_is_let_go() -> None:
    async def run() -> None:
        host = MemoryHost()
        async with serving(host, heartbeat_s=0.1) as server:
            stranger = Stranger(server.port)
            await stranger.hello()
            await until(lambda: host.closings == [(STREAM, stranger.epoch)])
            await stranger.close()

    asyncio.run(run())


def test_health_is_told_the_standard_way() -> None:
    async def run() -> None:
        async with (
            serving(MemoryHost()) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = await check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING

    asyncio.run(run())
