"""The uplink over real sockets: delivery, reconnection, flow control, status and questions."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from actors.rpc.control_client import ControlClient
from actors.rpc.uplink_client import LinkState
from codecsight.core.answer import Answer
from codecsight.core.question import Question
from codecsight.core.slot import SlotKind
from codecsight.uplink.edge_link import EdgeLink
from codecsight.uplink.fleet import StreamStatus
from codecsight.uplink.messages import CameraStats, Dropped, Heartbeat
from tests.actors.rpc.memory_host import MemoryHost, of_stream, serving, site, until, welcomed
from tests.uplink.chunks import SPEC, STREAM, anchor, delta, padded_jpeg

STATS = CameraStats("live", 100, 9.9, 5000, 700, 6, 8, 2, 0, 1, 3)


def test_slots_arrive_in_order_and_are_acknowledged() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port) as client:
            link = await welcomed(client.open(STREAM, 640, 360))
            assert link.state is LinkState.LIVE
            assert link.spec == SPEC
            for chunk in (anchor(), delta(), delta()):
                assert not link.offer(chunk).needs_anchor or chunk.kind is SlotKind.ANCHOR
            await until(lambda: link.edge.idle)
            slots = host.slots[STREAM]
            assert [slot.kind for slot in slots] == [SlotKind.ANCHOR] + 2 * [SlotKind.DELTA]
            assert (slots[0].patches == 90).all()
            assert np.array_equal(slots[1].kept, np.eye(2, dtype=bool))
            assert host.seqs[STREAM] == sorted(host.seqs[STREAM])

    asyncio.run(scene())


def test_many_streams_share_a_channel_without_mixing() -> None:
    async def scene() -> None:
        host = MemoryHost()
        names = [f"north.camera{n}" for n in range(12)]
        async with serving(host) as server, site(server.port) as client:
            links = [await welcomed(client.open(name, 640, 360)) for name in names]
            for value in range(5):
                for n, link in enumerate(links):
                    link.offer(of_stream(anchor(capture_time=float(1000 * n + value)), names[n]))
            await until(lambda: all(link.edge.idle for link in links))
            for n, name in enumerate(names):
                capture_time = [slot.capture_time for slot in host.slots[name]]
                assert capture_time == [1000 * n + value for value in range(5)]

    asyncio.run(scene())


def test_after_a_server_restart_no_chunk_is_lost_or_duplicated() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server:
            port = server.port
            client_site = site(port)
            client = await client_site.__aenter__()
            link = await welcomed(client.open(STREAM, 640, 360))
            link.offer(anchor())
            await until(lambda: link.edge.idle)
        await until(lambda: link.state is not LinkState.LIVE)
        link.offer(delta())
        link.offer(delta())
        async with serving(host, port=port):
            await until(lambda: link.edge.idle)
            seqs = host.seqs[STREAM]
            assert seqs == list(range(seqs[0], seqs[0] + 3))
            assert link.state is LinkState.LIVE
            await client_site.__aexit__(None, None, None)

    asyncio.run(scene())


def test_a_cloud_without_state_gets_the_newest_anchor() -> None:
    async def scene() -> None:
        host, restarted = MemoryHost(), MemoryHost()
        async with serving(host) as server:
            port = server.port
            client_site = site(port)
            client = await client_site.__aenter__()
            link = await welcomed(client.open(STREAM, 640, 360))
        await until(lambda: link.state is not LinkState.LIVE)
        for chunk in (anchor(), delta(), anchor(), delta()):
            link.offer(chunk)
        async with serving(restarted, port=port):
            await until(lambda: link.edge.idle)
            kinds = [slot.kind for slot in restarted.slots[STREAM]]
            assert kinds == [SlotKind.ANCHOR, SlotKind.DELTA]
            drops = [event for _, event in restarted.events if isinstance(event, Dropped)]
            assert sum(drop.last - drop.first + 1 for drop in drops) == 2
            await client_site.__aexit__(None, None, None)

    asyncio.run(scene())


def test_an_eviction_in_the_cloud_requests_an_anchor_from_the_tracker() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port) as client:
            link = await welcomed(client.open(STREAM, 640, 360))
            link.offer(anchor())
            host.evicted = "the KV pool was full"
            await until(lambda: link.edge.idle and not host.evicted)
            offered = [link.offer(delta()).needs_anchor]
            for _ in range(200):
                if any(offered):
                    break
                await asyncio.sleep(0.01)
                offered.append(link.offer(delta()).needs_anchor)
            assert any(offered)
            link.offer(anchor())
            await until(lambda: link.edge.idle)
            assert host.slots[STREAM][-1].kind is SlotKind.ANCHOR

    asyncio.run(scene())


def test_a_slow_consumer_keeps_the_edge_memory_bounded() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port) as client:
            link = await welcomed(client.open(STREAM, 640, 360))
            link.offer(anchor())
            await until(lambda: link.edge.idle)
            host.has_room.clear()
            big = anchor(codec="jpeg", mosaic=padded_jpeg(400 << 10))
            for _ in range(100):  # 40 MB, with 16 MB of backlog and 2 MB of credits
                link.offer(big)
                await asyncio.sleep(0)
            assert link.edge.backlog_bytes <= 16 << 20
            assert link.edge.dropped_count > 0
            host.has_room.set()
            await until(lambda: link.edge.idle)
            assert link.state is LinkState.LIVE
            drops = [event for _, event in host.events if isinstance(event, Dropped)]
            dropped = sum(drop.last - drop.first + 1 for drop in drops)
            assert dropped == link.edge.dropped_count
            assert len(host.slots[STREAM]) + dropped == 101

    asyncio.run(scene())


def test_a_newer_connection_of_a_stream_replaces_the_older() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port) as old, site(server.port) as new:
            first = await welcomed(old.open(STREAM, 640, 360))
            first.offer(anchor())
            await until(lambda: first.edge.idle)
            second = await welcomed(new.open(STREAM, 640, 360))
            await until(lambda: first.state is LinkState.DOWN)
            assert "replaced this one" in first.detail
            second.offer(anchor())
            await until(lambda: second.edge.idle)
            assert second.state is LinkState.LIVE
            assert len(host.slots[STREAM]) == 2

    asyncio.run(scene())


def test_a_new_model_reaches_the_edge_with_the_next_welcome() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server:
            port = server.port
            client_site = site(port)
            client = await client_site.__aenter__()
            link = await welcomed(client.open(STREAM, 640, 360))
        await until(lambda: link.state is not LinkState.LIVE)
        host.spec = replace(SPEC, cell=32)
        async with serving(host, port=port):
            await until(lambda: link.state is LinkState.LIVE)
            assert link.offer(anchor()).spec == host.spec
            await until(lambda: link.edge.idle)
            assert not host.slots[STREAM]
            await client_site.__aexit__(None, None, None)

    asyncio.run(scene())


def test_heartbeats_carry_the_camera_counters_to_the_stream_status() -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host, heartbeat_s=0.1) as server, site(server.port) as client:
            link = await welcomed(client.open(STREAM, 640, 360))
            link.stats = STATS
            beats = lambda: [m for _, m in host.events if isinstance(m, Heartbeat) and m.stats]  # noqa: E731
            await until(lambda: len(beats()) >= 3)
            (row,) = await asyncio.to_thread(_streams, server.port)
            assert (row.site, row.stream, row.camera) == ("north", STREAM, STATS)
            assert (row.owner, row.tokens, row.kv_blocks) == ("gpu:here:0", 100, 7)
            assert row.answers[0].value == 3

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("text", "value"),
    [("Is there a person?", True), ("How many cars?", 3), ("Which colour? | red, blue", "red")],
)
def test_answers_have_the_type_of_their_question(text: str, value: object) -> None:
    async def scene() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port) as client:
            await welcomed(client.open(STREAM, 640, 360))
            answer = await asyncio.to_thread(_ask, server.port, text)
            assert (answer.value, type(answer.value)) == (value, type(value))
            assert answer.probability == 0.75

    asyncio.run(scene())


def _ask(port: int, text: str) -> Answer:
    with ControlClient(f"127.0.0.1:{port}") as control:
        return control.ask(STREAM, Question.parse(text))


def _streams(port: int) -> list[StreamStatus]:
    with ControlClient(f"127.0.0.1:{port}") as control:
        assert control.status().workers[0].spent.vit == 1e12
        return control.streams()


def test_a_chunk_that_the_cloud_cannot_read_costs_its_stream_a_moment_only() -> None:
    async def run() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port, "north") as client:
            link = await welcomed(client.open(STREAM, 640, 360))
            link.offer(anchor(mosaic=b"not a picture"))
            await until(lambda: link.edge.take_anchor_request())
            await until(lambda: link.state is LinkState.LIVE)
            link.offer(anchor())
            await until(lambda: len(host.slots[STREAM]) == 1)
            assert link.edge.dropped_count == 1

    asyncio.run(run())


def test_a_fault_in_a_link_is_logged_and_the_link_connects_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run() -> None:
        host = MemoryHost()
        async with serving(host) as server, site(server.port, "north") as client:
            link = await welcomed(client.open(STREAM, 640, 360))

            def fail(*_: object) -> None:
                monkeypatch.undo()
                raise KeyError("a fault of ours")

            monkeypatch.setattr(EdgeLink, "take_outgoing", fail)
            link.offer(anchor())
            await until(lambda: "a fault of ours" in link.detail or link.state is LinkState.LIVE)
            await until(lambda: len(host.slots[STREAM]) == 1)

    asyncio.run(run())
    assert "uplink fault" in capsys.readouterr().out
