"""Deadlines of every wait in `actors/`, in seconds, and the helpers that apply them.

A caller's deadline is longer than the deadlines inside the call, so the reply names the part that
hangs. `cluster/` has its own deadlines, one level further out.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from codecsight.core.errors import CodecSightError

T = TypeVar("T")

# Worker: its engine's thread, its decoding threads

ENGINE_START_S = 1700.0
"""Loading the model and measuring it. Then the worker's start fails, and Ray repeats it."""
ENGINE_CALL_S = 12.0
"""A short call, which waits for the running step. Then it is withdrawn and fails; the gateway
counts the worker as not available.
"""
ENGINE_JOB_S = 60.0
"""Result of a slot or a question. Then the question fails, or the stream must connect again."""
ENGINE_IDLE_S = 60.0
"""Wait of an idle engine for a call. Then it checks for one, and waits again."""
ENGINE_STOP_S = 10.0
"""End of the running step at shutdown. Then its thread is left to end with the process."""
DECODE_S = 10.0
"""Decoding of a chunk, with those queued before it. Then the stream must connect again."""
PACE_S = 30.0
"""Delay of a chunk above the agreed rate. Then it is admitted early: slots so far apart are no
load.
"""

# Gateway: its workers, and the directory

MODEL_LOAD_S = 1800.0
"""Start of the first worker. Then the gateway's start fails."""
STRAGGLER_S = 60.0
"""Start of the other workers after the first one. Then the gateway serves without them; they get
streams once they report.
"""
WORKER_CALL_S = 15.0
"""Opening or closing a stream, or a report. Then the stream must connect again; a worker without
reports gets no streams (see `StreamDirectory`).
"""
WORKER_STATUS_S = 5.0
"""Status for a client. Then the reply leaves this worker out."""
WORKER_JOB_S = 120.0
"""A slot, a question, or the next token. Then the question fails, or the stream must connect again.
"""
DIRECTORY_CALL_S = 5.0
"""A call to the directory. Then a connecting stream is rejected with a retry; leases are renewed
at the next interval, several of which fit into a lease.
"""
SERVER_STOP_S = 6.0
"""Graceful end of the gRPC server. Then running calls are abandoned."""

# gRPC

HANDSHAKE_S = 10.0
"""Hello, Welcome, and the end of a stream's older connection. Then the connection is rejected, and
the edge connects again.
"""
SEND_S = 60.0
"""Writing one message, also a large chunk on a slow line. Then the peer does not read, and its
connection ends.
"""
PUSH_END_S = 130.0
"""End of a push whose connection has ended. Then the stream can be opened without its result."""
CLIENT_CLOSE_S = 5.0
"""End of all links of a site. Then the remaining ones are abandoned."""
CLIENT_ASK_S = 30.0
"""Default of a client's question. Then the call fails with DEADLINE_EXCEEDED."""
CLIENT_STATUS_S = 10.0
"""Default of a client's status call. Then the call fails with DEADLINE_EXCEEDED."""

# Site

UPLINK_CALL_S = 10.0
"""A camera's call to the uplink actor. Then the camera drops the slot and opens its feed again."""
UPLOAD_STOP_S = 15.0
"""End of the upload that runs when an archiver drains. Then the spool keeps what is left."""


class DeadlineError(CodecSightError):
    """Something did not finish in time. The message names it."""


async def within(seconds: float, awaitable: Awaitable[T], what: str) -> T:
    """Await; after `seconds`, cancel and raise a DeadlineError that names `what`."""
    try:
        async with asyncio.timeout(seconds) as timeout:
            return await awaitable
    except TimeoutError as error:
        if not timeout.expired():  # the awaitable itself raised it
            raise
        raise DeadlineError(f"{what} did not respond within {seconds:g} s") from error


async def each_within(seconds: float, items: AsyncIterator[T], what: str) -> AsyncIterator[T]:
    """Iterate, with a deadline for each item. Raises DeadlineError."""
    while True:
        try:
            item = await within(seconds, anext(items), what)
        except StopAsyncIteration:
            return
        yield item


async def wait_at_most(seconds: float, awaitable: Awaitable[Any]) -> None:
    """Wait for `awaitable`, and cancel it after `seconds`."""
    with contextlib.suppress(DeadlineError):
        await within(seconds, awaitable, "")
