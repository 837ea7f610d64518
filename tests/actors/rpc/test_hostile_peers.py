"""Invalid input from peers: each is rejected with a reason, and other streams are not affected."""

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
from actors.wire import control_pb2 as control
from actors.wire import uplink_pb2 as wire
from actors.wire.control_pb2_grpc import ControlServiceStub
from actors.wire.uplink_pb2_grpc import UplinkServiceStub
from codecsight.uplink.messages import (
    PROTOCOL_VERSION,
    CloudMessage,
    Dropped,
    Heartbeat,
    Hello,
    Reject,
    RejectReason,
    Welcome,
)
from tests.actors.rpc.memory_host import MemoryHost, of_stream, serving, site, until, welcomed
from tests.uplink.chunks import SPEC, STREAM, anchor, padded_jpeg

HELLO = Hello("north", STREAM, PROTOCOL_VERSION, "test", SPEC.fingerprint, 640, 360, next_seq=100)
OTHER_STREAM = "south.door"
METHOD = "/codecsight.v1.UplinkService/Stream"


class RawPeer:
    """Sends arbitrary messages, without the limits of our own client."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.call = UplinkServiceStub(self._channel).Stream()
        self.epoch = 0

    async def hello(self, **fields: object) -> CloudMessage | None:
        await self.call.write(to_request(replace(HELLO, **fields)))  # type: ignore[arg-type]
        reply = await self.reply()
        if isinstance(reply, Welcome):
            self.epoch = reply.epoch
        return reply

    async def reply(self) -> CloudMessage | None:
        """The next reply; None after the end of the call."""
        response = await asyncio.wait_for(self.call.read(), 10)
        return from_response(response) if isinstance(response, wire.StreamResponse) else None

    async def rejection(self) -> Reject:
        while not isinstance(reply := await self.reply(), Reject):
            assert reply is not None, "the call ended without a Reject"
        assert await self.reply() is None
        return reply

    async def close(self) -> None:
        self.call.cancel()
        await self._channel.close()


@asynccontextmanager
async def scene() -> AsyncIterator[tuple[MemoryHost, RawPeer]]:
    """Run a gateway with a regular site and a raw peer. At the end the site must still be served on
    its first connection.
    """
    host = MemoryHost()
    async with serving(host) as server, site(server.port, "south") as client:
        link = await welcomed(client.open(OTHER_STREAM, 640, 360))
        epoch = link.edge.epoch
        peer = RawPeer(server.port)
        try:
            yield host, peer
        finally:
            await peer.close()
        link.offer(of_stream(anchor(), OTHER_STREAM))
        await until(lambda: link.edge.idle)
        assert len(host.slots[OTHER_STREAM]) == 1
        assert link.edge.epoch == epoch


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"bitmap": b""}, RejectReason.MALFORMED, "bitmap of 0 bytes for 4 cells"),
        ({"bitmap": b"\xff"}, RejectReason.MALFORMED, "beyond the last"),
        ({"rows": 4000, "cols": 4000}, RejectReason.MALFORMED, "1 to 16 are allowed"),
        ({"rows": 4, "cols": 4, "bitmap": b"\xff\xff", "reasons": b"\x01" * 16},
         RejectReason.MALFORMED, "bitmap needs"),
        ({"mosaic": b"\x89PNG junk"}, RejectReason.MALFORMED, "not a complete lossless picture"),
        ({"times": (float("nan"), 1.0)}, RejectReason.MALFORMED, "not a finite number"),
        ({"epoch": 1}, RejectReason.OLD_EPOCH, "epoch 1 is not the current"),
        ({"stream": "north.other"}, RejectReason.UNKNOWN_STREAM, "north.other"),
        ({"fingerprint": "feedfeedfeedfeed"}, RejectReason.FINGERPRINT, "model grid"),
        ({"codec": "h265"}, RejectReason.MALFORMED, "unknown patch codec 'h265'"),
        ({"kind": 7}, RejectReason.MALFORMED, "unknown kind 7"),
        ({"stream": "x" * 5000}, RejectReason.MALFORMED, "at most 1000"),
    ],
    ids=["no bitmap", "wrong bitmap", "too many cells", "too large a mosaic", "junk mosaic",
         "time", "old epoch", "other stream", "other model", "unknown codec", "unknown kind",
         "long name"],
)  # fmt: skip
def test_an_invalid_chunk_is_rejected(
    fields: dict[str, object], reason: RejectReason, detail: str
) -> None:
    async def run() -> None:
        async with scene() as (host, peer):
            await peer.hello()
            good = anchor(epoch=peer.epoch, seq=100)
            await peer.call.write(to_request(replace(good, **fields)))  # type: ignore[arg-type]
            rejection = await peer.rejection()
            assert rejection.reason is reason
            assert detail in rejection.detail
            assert not host.slots[STREAM]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"stream": "south.door"}, RejectReason.UNKNOWN_STREAM, "named north.CAMERA"),
        ({"stream": "north."}, RejectReason.UNKNOWN_STREAM, "use SITE.CAMERA"),
        ({"stream": "north.a.b"}, RejectReason.UNKNOWN_STREAM, "use SITE.CAMERA"),
        ({"stream": "north.../../etc/passwd"}, RejectReason.UNKNOWN_STREAM, "use SITE.CAMERA"),
        ({"stream": "north.a\nlevel=info"}, RejectReason.UNKNOWN_STREAM, "'north.a\\nlevel=info'"),
        ({"stream": "north.\x1b[31m"}, RejectReason.UNKNOWN_STREAM, "'north.\\x1b[31m'"),
        ({"stream": "north.a\0b"}, RejectReason.UNKNOWN_STREAM, "x00"),
        ({"stream": "north.a b"}, RejectReason.UNKNOWN_STREAM, "use SITE.CAMERA"),
        ({"stream": "north." + "a" * 900}, RejectReason.UNKNOWN_STREAM, "aaa...' is not"),
        ({"site": "west", "stream": "west.gate"}, RejectReason.UNKNOWN_STREAM, "list of sites"),
        ({"protocol": 99}, RejectReason.PROTOCOL, "upgrade the cloud"),
        ({"width": 0}, RejectReason.MALFORMED, "0x360 pixels"),
        ({"height": 10**9}, RejectReason.MALFORMED, "1000000000 pixels"),
    ],
    ids=[
        "another site's stream",
        "no camera",
        "three names",
        "path",
        "line break",
        "terminal escape",
        "NUL",
        "blank",
        "900 characters",
        "unknown site",
        "newer protocol",
        "no picture",
        "too large a picture",
    ],
)
def test_an_invalid_hello_is_rejected(
    fields: dict[str, object], reason: RejectReason, detail: str
) -> None:
    async def run() -> None:
        async with scene() as (_, peer):
            rejection = await peer.hello(**fields)
            assert isinstance(rejection, Reject)
            assert rejection.reason is reason
            assert detail in rejection.detail

    asyncio.run(run())


def test_a_peer_that_sends_no_hello_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink_service, "HANDSHAKE_S", 0.3)

    async def run() -> None:
        async with scene() as (_, peer):
            assert (await peer.rejection()).detail == "no Hello within 0.3 s"

    asyncio.run(run())


def test_a_thousand_connections_at_once_are_served() -> None:
    async def run() -> None:
        async with scene() as (host, peer):
            host.directory.report("gpu:here:0", 0, 100_000, time.time())
            stub = UplinkServiceStub(peer._channel)
            calls = [stub.Stream() for _ in range(1000)]
            for number, call in enumerate(calls):
                hello = replace(HELLO, stream=f"north.{number}")
                await call.write(to_request(hello))
            for call in calls:
                response = await asyncio.wait_for(call.read(), 30)
                assert isinstance(response, wire.StreamResponse)
                assert isinstance(from_response(response), Welcome)
                call.cancel()
            await until(lambda: len(host.disconnects) == 1000)

    asyncio.run(run())


def test_a_chunk_before_the_hello_is_rejected() -> None:
    async def run() -> None:
        async with scene() as (_, peer):
            await peer.call.write(to_request(anchor(epoch=1, seq=1)))
            assert (await peer.rejection()).reason is RejectReason.PROTOCOL

    asyncio.run(run())


def test_bytes_beyond_the_credits_are_rejected_while_the_worker_is_blocked() -> None:
    async def run() -> None:
        async with scene() as (host, peer):
            host.has_room.clear()
            await peer.hello()
            big = anchor(epoch=peer.epoch, codec="jpeg", mosaic=padded_jpeg(640 << 10))

            async def flood() -> None:
                for seq in range(100, 200):
                    await peer.call.write(to_request(replace(big, seq=seq)))

            flooding = asyncio.create_task(flood())
            reply = await peer.reply()
            assert isinstance(reply, Reject)
            assert "credits" in reply.detail
            flooding.cancel()
            host.has_room.set()

    asyncio.run(run())


def test_an_oversized_message_ends_its_call_only() -> None:
    async def run() -> None:
        async with scene() as (_, peer):
            await peer.hello()
            huge = anchor(epoch=peer.epoch, seq=100, mosaic=bytes(MAX_MESSAGE + 1))
            await peer.call.write(to_request(huge))
            assert await peer.call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(run())


@pytest.mark.parametrize("welcomed_first", [False, True])
def test_invalid_protobuf_ends_its_call_only(
    welcomed_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        async with scene() as (_, peer):
            call = peer._channel.stream_stream(METHOD)()
            if welcomed_first:
                await call.write(to_request(HELLO).SerializeToString())
                welcome = from_response(wire.StreamResponse.FromString(await call.read()))
                assert isinstance(welcome, Welcome)
            await call.write(b"\xff\xff\xff\xff not protobuf")
            reply = from_response(wire.StreamResponse.FromString(await call.read()))
            assert isinstance(reply, Reject)
            assert reply.reason is RejectReason.MALFORMED
            assert reply.detail == "a message that is not of this protocol"

    asyncio.run(run())
    assert "Traceback" not in caplog.text


def test_an_unknown_message_of_a_newer_edge_is_ignored() -> None:
    async def run() -> None:
        async with scene() as (host, peer):
            await peer.hello()
            await peer.call.write(wire.StreamRequest())
            await peer.call.write(to_request(anchor(epoch=peer.epoch, seq=100)))
            await until(lambda: host.slots[STREAM])

    asyncio.run(run())


def test_invalid_drop_reports_affect_only_their_sender() -> None:
    async def run() -> None:
        async with scene() as (_, peer):
            await peer.hello()
            await peer.call.write(to_request(Dropped(100, 2**62, "all of it")))
            await peer.call.write(to_request(Dropped(7, 3, "backwards")))
            assert (await peer.rejection()).reason is RejectReason.MALFORMED

    asyncio.run(run())


def test_a_connection_without_heartbeats_is_closed() -> None:
    async def run() -> None:
        host = MemoryHost()
        async with serving(host, heartbeat_s=0.1) as server:
            peer = RawPeer(server.port)
            await peer.hello()
            await until(lambda: host.disconnects == [(STREAM, peer.epoch)])
            await peer.close()

    asyncio.run(run())


def test_the_standard_health_service_reports_serving() -> None:
    async def run() -> None:
        async with (
            serving(MemoryHost()) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            check = health_pb2_grpc.HealthStub(channel).Check
            answer = await check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING

    asyncio.run(run())


def test_a_flood_of_heartbeats_is_read_at_a_bounded_rate_and_harms_nobody() -> None:
    async def run() -> None:
        async with scene() as (host, peer):
            await peer.hello()
            beat = to_request(Heartbeat(1.0, None))
            began = time.monotonic()
            flood = asyncio.create_task(_flood(peer, beat, 2000))
            await asyncio.sleep(1.0)
            read = sum(stream == STREAM for stream, _ in host.events)
            assert read <= 20 + 10 * (time.monotonic() - began)
            flood.cancel()

    asyncio.run(run())


async def _flood(peer: RawPeer, message: wire.StreamRequest, count: int) -> None:
    for _ in range(count):
        await peer.call.write(message)


def test_a_caller_may_wait_for_a_number_of_questions() -> None:
    async def run() -> None:
        host = MemoryHost()
        async with serving(host, max_questions=3) as server:
            host.answering.clear()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                stub = ControlServiceStub(channel)
                host.directory.claim(OTHER_STREAM, time.time())
                kind = control.QuestionKind.QUESTION_KIND_YES_NO
                question = control.Question(text="Is there a person?", kind=kind, max_count=9)
                request = control.AskRequest(stream=OTHER_STREAM, question=question)
                waiting = [asyncio.ensure_future(stub.Ask(request)) for _ in range(3)]
                await until(lambda: host.asked == 3)
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await stub.Ask(request)
                assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "limits.questions" in str(error.value.details())
                waiting[0].cancel()
                await until(lambda: host.withdrawn == 1)
                again = asyncio.ensure_future(stub.Ask(request))
                await until(lambda: host.asked == 4)
                host.answering.set()
                await asyncio.gather(*waiting[1:], again)

    asyncio.run(run())


JSON = {"kind": control.QuestionKind.QUESTION_KIND_JSON, "max_count": 9}


@pytest.mark.parametrize(
    ("question", "code", "detail"),
    [
        ({**JSON, "schema": '{"a":' * 400 + "1" + "}" * 400}, "INVALID_ARGUMENT", "400 levels"),
        ({**JSON, "schema": '{"a": "' + "x" * 30_000 + '"}'}, "INVALID_ARGUMENT", "characters"),
        ({"kind": 1, "max_count": 9}, "INTERNAL", "an internal error; the cloud's log says more"),
    ],
    ids=["deep schema", "long schema", "a fault of ours"],
)
def test_an_error_shows_the_caller_nothing_of_our_processes(
    question: dict[str, object], code: str, detail: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> grpc.aio.AioRpcError:
        host = MemoryHost()
        host.directory = None  # type: ignore[assignment]
        asked = control.Question(text="Is there a person?", **question)  # type: ignore[arg-type]
        request = control.AskRequest(stream=OTHER_STREAM, question=asked)
        async with (
            serving(host) as server,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await ControlServiceStub(channel).Ask(request)
        return error.value

    error = asyncio.run(run())
    assert error.code().name == code
    assert detail in str(error.details())
    assert "NoneType" not in str(error.details())
    assert ("NoneType" in capsys.readouterr().out) == (code == "INTERNAL")
