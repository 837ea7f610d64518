"""Free TCP ports on loopback, for servers of the demo and of tests."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Different TCP ports that are currently free on loopback."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def free_port() -> int:
    """A TCP port that is currently free on loopback."""
    return free_ports(1)[0]
