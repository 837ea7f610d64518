"""Interface between the gRPC services and the owner of the streams."""

from collections.abc import AsyncIterator
from typing import Protocol

from codecsight.core.answer import Answer, PartialAnswer
from codecsight.core.chunk import Chunk
from codecsight.core.question import Question
from codecsight.uplink.cloud_link import SessionGrant
from codecsight.uplink.fleet import CloudStatus, StreamStatus
from codecsight.uplink.messages import Dropped, Heartbeat, Hello


class StreamHost(Protocol):
    """Owner of all streams. Methods may be called concurrently, except that `open`, `push` and
    `on_disconnect` of one stream never overlap.
    """

    async def open(self, hello: Hello) -> SessionGrant:
        """Claim a connecting stream under a new epoch. Raises StreamRejected."""
        ...

    async def push(self, chunk: Chunk) -> str | None:
        """Store one chunk; its Ack is sent on return.

        Waits while there is no room; the edge's credits bound what it sends meanwhile. Returns the
        reason why the stream needs an anchor, or None. Raises StreamRejected, for example for an
        epoch that has ended.
        """
        ...

    async def on_event(self, stream: str, message: Heartbeat | Dropped) -> None:
        """Handle a heartbeat or a report of dropped chunks."""
        ...

    async def on_disconnect(self, stream: str, epoch: int) -> None:
        """Handle the end of the connection with `epoch`. The edge may connect again."""
        ...

    async def ask(self, stream: str, question: Question, max_age_s: float) -> Answer:
        """Answer from the stream's current window. Raises LeaseError if no worker serves it, and
        CodecSightError if its newest slot is older than `max_age_s` (0: no limit).
        """
        ...

    def ask_stream(
        self, stream: str, question: Question, max_age_s: float
    ) -> AsyncIterator[PartialAnswer | Answer]:
        """As `ask`, but yields the partial answer after each token of a free-form answer."""
        ...

    async def streams(self) -> list[StreamStatus]:
        """The status of every stream."""
        ...

    async def status(self) -> CloudStatus:
        """The status of the cloud."""
        ...
