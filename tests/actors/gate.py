"""A gate at which a thread waits until a test opens it."""

import asyncio
import threading

LIMIT_S = 120.0
"""A test that waits longer has failed."""


class Gate:
    """Threads wait in `enter` until `open`. `entered` waits for the first of them."""

    def __init__(self) -> None:
        self._entered, self._opened = threading.Event(), threading.Event()

    def enter(self) -> None:
        """Wait until the gate is open. Called on the thread to be held."""
        self._entered.set()
        assert self._opened.wait(LIMIT_S)

    def open(self) -> None:
        """Let every thread pass, now and later."""
        self._opened.set()

    async def entered(self) -> None:
        """Wait until a thread waits at the gate."""
        assert await asyncio.to_thread(self._entered.wait, LIMIT_S)
