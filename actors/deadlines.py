"""Deadlines of the waits in `actors/`, in seconds, and the helpers that apply them.

A caller's deadline is longer than the deadlines inside the call, so the reply names the part that
hangs. Where a person waits for the reply it may be shorter, and says so. `cluster/` has its own
deadlines, one level further out. Each text says what is waited for and what follows on expiry.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from codecsight.core.errors import CodecSightError

T = TypeVar("T")

# Worker: its engine's thread, its decoding threads

ENGINE_START_S = 1700.0
"""Loading the model and measuring it. On expiry: the worker's start fails, and Ray repeats it."""
ENGINE_CALL_S = 12.0
"""A short call, which waits for the running step. On expiry: it is withdrawn and fails; the gateway
counts the worker as not available.
"""
ENGINE_JOB_S = 60.0
"""Result of a slot or a question. On expiry: the question fails, or the stream must connect again.
"""
ENGINE_IDLE_S = 60.0
"""Wait of an idle engine for a call. On expiry: it checks for one, and waits again."""
ENGINE_STOP_S = 10.0
"""End of the running step at shutdown. On expiry: its thread is left to end with the process."""
DECODE_S = 10.0
"""Decoding of a chunk, with those queued before it. On expiry: the stream must connect again."""
MAX_RATE_DELAY_S = 30.0
"""Delay of a chunk above the agreed rate. On expiry: it is admitted early: slots so far apart are
no load.
"""

# Gateway: its workers, and the directory

MODEL_LOAD_S = 1800.0
"""Start of the first worker. On expiry: the gateway's start fails."""
STRAGGLER_S = 60.0
"""Start of the other workers after the first one. On expiry: the gateway serves without them; they
get streams once they report.
"""
WORKER_CALL_S = 15.0
"""Opening or closing a stream, or a report. On expiry: the stream must connect again; a worker
without reports gets no streams (see `StreamDirectory`).
"""
WORKER_STATUS_S = 5.0
"""Status for a client. Shorter than ENGINE_CALL_S: a worker in a long step is left out of the
reply.
"""
WORKER_JOB_S = 120.0
"""A slot, a question, or the next token. On expiry: the question fails, or the stream must connect
again.
"""
DIRECTORY_CALL_S = 5.0
"""A call to the directory. On expiry: a connecting stream is rejected with a retry; leases are
renewed at the next interval, several of which fit into a lease.
"""
SERVER_STOP_S = 6.0
"""Graceful end of the gRPC server. On expiry: running calls are abandoned."""

# gRPC

HANDSHAKE_S = 25.0
"""Hello, Welcome, and the end of a stream's older connection. On expiry: the connection is
rejected, and the edge connects again.
"""
SEND_S = 60.0
"""Writing one message, also a large chunk on a slow line. On expiry: the peer does not read, and
its connection ends.
"""
PUSH_END_S = 130.0
"""End of a push whose connection has ended. On expiry: the stream can be opened without its result.
"""
CLIENT_CLOSE_S = 5.0
"""End of all links of a site. On expiry: the remaining ones are abandoned."""
CLIENT_ASK_S = 30.0
"""Default of a client's question, shorter than the worker's own limit. On expiry: the call fails
with DEADLINE_EXCEEDED.
"""
CLIENT_STATUS_S = 10.0
"""Default of a client's status call. On expiry: the call fails with DEADLINE_EXCEEDED."""

# Site

UPLINK_CALL_S = 10.0
"""A camera's call to the uplink actor. On expiry: the camera drops the slot and opens its feed
again.
"""
UPLOAD_STOP_S = 15.0
"""End of the upload that runs when an archiver drains. On expiry: the spool keeps what is left."""

DRAIN_S = 8.0
"""Uploads begun while an archiver drains. On expiry: the spool keeps what is left."""


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
