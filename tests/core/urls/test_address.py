"""Addresses: parsed by their parts, never compared by a prefix."""

import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.address import HostPort, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cloud.example.org:7443", HostPort("cloud.example.org", 7443)),
        ("127.0.0.1:0", HostPort("127.0.0.1", 0)),
        ("[2001:db8::7]:65535", HostPort("2001:db8::7", 65535)),
    ],
)
def test_an_address_has_a_host_and_a_port(text: str, expected: HostPort) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cloud.example.org", "expected HOST:PORT"),
        ("2001:db8::7:443", "expected HOST:PORT, such as .* or \\[::1\\]:7443"),
        ("https://cloud.example.org:443", "expected HOST:PORT"),
        ("cloud.example.org:65536", "the port 65536 is above 65535"),
        ("[2001:dg8::7]:443", "not an IPv6 address"),
        (":7443", "expected HOST:PORT"),
        ("a b:1", "expected HOST:PORT"),
    ],
)
def test_another_text_is_an_error_that_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(CodecSightError, match=message):
        parse_address(text)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.9.1", "::1"]
)
def test_loopback_is_recognised(host: str) -> None:
    assert is_loopback(host)


def test_loopback_mapped_to_ipv6_is_recognised() -> None:
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.parametrize(
    "host",
    ["127.evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "128.0.0.1", "::2", "10.0.0.1"],
)
def test_a_host_that_only_looks_like_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)
