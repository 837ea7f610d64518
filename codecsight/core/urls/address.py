"""Network addresses, HOST:PORT: parsing, and whether a host is on loopback."""

import ipaddress
import re
from dataclasses import dataclass

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.redaction import redact_url

MAX_PORT = 65535

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\[\]\s]+)\]|(?P<host>[^\s:\[\]/@]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host (name, IPv4 or IPv6 address without brackets) and a TCP port, 0 to 65535."""

    host: str
    port: int


def parse_address(text: str) -> HostPort:
    """Parse `HOST:PORT`; an IPv6 address is in brackets. Raises CodecSightError."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise CodecSightError(
            "expected HOST:PORT, such as cloud.example.org:7443 or [::1]:7443, "
            f"got {redact_url(text)!r}"
        )
    if (port := int(found["port"])) > MAX_PORT:
        raise CodecSightError(f"{text}: the port {port} is above {MAX_PORT}")
    if found["ipv6"] is not None:
        return HostPort(_ipv6(found["ipv6"]), port)
    return HostPort(found["host"], port)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback interface: `localhost`, or an address in
    127.0.0.0/8 or ::1. A name that merely begins so, such as 127.example.org, is not.
    """
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _ipv6(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError as error:
        raise CodecSightError(f"[{host}] is not an IPv6 address") from error
