"""Free TCP ports on loopback, for servers of the demo and of tests."""

import socket
from contextlib import ExitStack

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.address import parse_address


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


def check_port_is_free(address: str) -> None:
    """Raise CodecSightError if nothing can listen on `address` (HOST:PORT) now."""
    place = parse_address(address)
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, name = found[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the server will: a port whose connections are only just closed is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(name)
    except OSError as error:
        raise CodecSightError(f"listen: can't listen on {address}: {error.strerror}") from error
