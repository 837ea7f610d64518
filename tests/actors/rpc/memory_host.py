"""A StreamHost in memory, and helpers to run a gateway and a site around it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from actors.rpc.authorization import Roles
from actors.rpc.gateway_server import GatewayServer
from actors.rpc.transport import TlsCredentials
from actors.rpc.uplink_client import ConnectTiming, StreamLink, UplinkClient
from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.errors import CodecSightError
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.patches.packing import unpack
from codecsight.uplink.cloud_link import SessionGrant, StreamRejected
from codecsight.uplink.fleet import CloudStatus, FlopCount, StreamStatus, WorkerStatus
from codecsight.uplink.leases import StreamDirectory
from codecsight.uplink.messages import Dropped, Heartbeat, Hello, RejectReason
from tests.uplink.chunks import SPEC

FLOPS = FlopCount(vit=4e12, llm=5e12)
FAST_RETRY = ConnectTiming(handshake_s=5.0, backoff_min_s=0.05, backoff_max_s=0.2)


class MemoryHost:
    """Owns all streams. `slots` has the decoded chunks of each, in the order of arrival.

    While `has_room` is not set, `push` waits; while `answering` is not set, questions wait.
    `evicted` is the reason that the next push returns.
    """

    def __init__(self) -> None:
        self.spec = SPEC
        self.slots: dict[str, list[Slot]] = {}
        self.seqs: dict[str, list[int]] = {}
        self.events: list[tuple[str, Heartbeat | Dropped]] = []
        self.disconnects: list[tuple[str, int]] = []
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.answering = asyncio.Event()
        self.answering.set()
        self.asked = self.withdrawn = 0  # questions
        self.evicted = ""
        self.age_s = 2.0
        self.directory = StreamDirectory()
        self.directory.report("gpu:here:0", 0, 1000, time.time())

    async def open(self, hello: Hello) -> SessionGrant:
        lease = self.directory.claim(hello.stream, time.time())
        seqs = self.seqs.setdefault(hello.stream, [])
        self.slots.setdefault(hello.stream, [])
        return SessionGrant(lease.epoch, self.spec, seqs[-1] + 1 if seqs else None)

    async def push(self, chunk: Chunk) -> str | None:
        await self.has_room.wait()
        lease = self.directory.lease(chunk.stream, time.time())
        if chunk.epoch != lease.epoch:
            raise StreamRejected(RejectReason.OLD_EPOCH, "the lease has ended", 1.0)
        self.slots[chunk.stream].append(unpack(chunk, self.spec))
        self.seqs[chunk.stream].append(chunk.seq)
        reason, self.evicted = self.evicted, ""
        return reason or None

    async def on_event(self, stream: str, message: Heartbeat | Dropped) -> None:
        self.events.append((stream, message))

    async def on_disconnect(self, stream: str, epoch: int) -> None:
        self.disconnects.append((stream, epoch))

    async def ask(self, stream: str, question: Question, max_age_s: float = 0.0) -> Answer:
        if 0 < max_age_s < self.age_s:
            raise CodecSightError(f"the newest picture of {stream} is too old")
        self.directory.lease(stream, time.time())
        self.asked += 1
        try:
            await self.answering.wait()
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise
        value: bool | int | str = {
            "yes-no": True,
            "count": 3,
            "text": "a red car",
        }.get(question.kind, "red")
        return Answer(
            stream, question.text, value, 0.75, 1.0, 2.5, 1e9, 12.5, 6, 8, "tiny", self.age_s
        )

    async def ask_stream(
        self, stream: str, question: Question, max_age_s: float = 0.0
    ) -> AsyncIterator[PartialAnswer | Answer]:
        answer = await self.ask(stream, question, max_age_s)
        if question.free_form:
            words = str(answer.value).split()
            for count in range(1, len(words) + 1):
                yield PartialAnswer(" ".join(words[:count]))
        yield answer

    async def streams(self) -> list[StreamStatus]:
        stats = {name: beat.stats for name, beat in self.events if isinstance(beat, Heartbeat)}
        return [
            StreamStatus(
                site=lease.stream.split(".")[0],
                stream=lease.stream,
                state="live",
                camera=stats.get(lease.stream),
                owner=lease.owner,
                epoch=lease.epoch,
                tokens=100,
                kv_blocks=7,
                answers=(await self.ask(lease.stream, Question.parse("How many cars?")),),
            )
            for lease in self.directory.leases()
        ]

    async def status(self) -> CloudStatus:
        worker = WorkerStatus(
            "gpu:here:0", 2, 14, 1000, 300, 900, FlopCount(1e12, 5e11), FLOPS, FLOPS, answers=4
        )
        return CloudStatus("codecsight test", "tiny", (worker,))


@asynccontextmanager
async def serving(
    host: MemoryHost,
    tls: TlsCredentials | None = None,
    *,
    port: int = 0,
    heartbeat_s: float = 5.0,
    max_questions: int = 32,
) -> AsyncIterator[GatewayServer]:
    """Run a gateway on a real socket."""
    roles = Roles(sites=["north", "south"], operators=["operator"])
    limits = {"heartbeat_s": heartbeat_s, "max_questions": max_questions}
    server = GatewayServer(host, f"127.0.0.1:{port}", roles, tls, **limits)  # type: ignore[arg-type]
    await server.start()
    try:
        yield server
    finally:
        await server.stop(0.1)


@asynccontextmanager
async def site(
    port: int, name: str = "north", tls: TlsCredentials | None = None
) -> AsyncIterator[UplinkClient]:
    """Run the uplinks of a site that connects to the gateway."""
    client = UplinkClient(f"127.0.0.1:{port}", name, tls, FAST_RETRY)
    try:
        yield client
    finally:
        await client.close()


async def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "the condition was not met in time"
        await asyncio.sleep(0.01)


async def welcomed(link: StreamLink) -> StreamLink:
    """Wait until the link has received its Welcome."""
    await until(lambda: link.spec is not None and link.edge.connected)
    return link


def of_stream(chunk: Chunk, stream: str) -> Chunk:
    return replace(chunk, stream=stream)
