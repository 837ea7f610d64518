"""What the gateway asks of whoever owns the streams."""

from collections.abc import AsyncIterator
from typing import Protocol

from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.question import Question
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.fleet import CloudStatus, StreamStatus
from codecsight.uplink.messages import Dropped, Heartbeat, Hello


class StreamHost(Protocol):
    """Owner of all streams, seen from the wire. Every method may be called at any time; for one
    stream `open`, `push` and `on_disconnect` are never called at the same time.
    """

    async def open(self, hello: Hello) -> SessionGrant:
        """Claim a connecting stream under a new epoch. Raises StreamRejected."""
        ...

    async def push(self, chunk: Chunk) -> str | None:
        """Take one chunk; wait as long as there is no room for it, since the edge sends no more
        than its credits meanwhile. On return the chunk is acknowledged. Gives the reason why the
        stream needs an anchor, or None. Raises StreamRejected, for an epoch that is over above all.
        """
        ...

    async def on_event(self, stream: str, message: Heartbeat | Dropped) -> None:
        """The edge said something about the stream."""
        ...

    async def on_disconnect(self, stream: str, epoch: int) -> None:
        """The connection that was opened under `epoch` is over. It may come again."""
        ...

    async def ask(self, stream: str, question: Question) -> Answer:
        """Answer from what the stream shows now. Raises LeaseError if nobody watches it."""
        ...

    def ask_stream(self, stream: str, question: Question) -> AsyncIterator[PartialAnswer | Answer]:
        """The same, with each new word of a spoken answer before it."""
        ...

    async def streams(self) -> list[StreamStatus]:
        """Every stream there is."""
        ...

    async def status(self) -> CloudStatus:
        """The cloud itself."""
        ...
