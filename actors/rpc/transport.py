"""gRPC channels and servers: message sizes, keepalive and mutual TLS for both ends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from codecsight.core.errors import CodecSightError

Context = grpc.aio.ServicerContext[Any, Any]

MAX_MESSAGE = 1 << 20
"""Largest message in bytes, on both ends. MAX_MOSAIC_BYTES leaves room for the other fields."""

MAX_CALLS = 8192
"""Calls at the same time, each stream being one. Further ones end with RESOURCE_EXHAUSTED."""

_SIZES = [
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 16 << 10),
]
# The protocol has its own heartbeats. HTTP/2 pings are rare, so that no proxy closes a connection
# for too many of them. The server accepts them at twice the client's rate.
_KEEPALIVE_MS = 60_000
_CLIENT = [
    *_SIZES,
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),
]
_SERVER = [
    *_SIZES,
    ("grpc.http2.min_ping_interval_without_data_ms", _KEEPALIVE_MS // 2),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),  # a port in use is an error; don't share it
]


@dataclass(frozen=True, slots=True)
class TlsCredentials:
    """PEM bytes for mutual TLS: the common authority, this end's certificate and its key."""

    ca: bytes
    cert: bytes
    key: bytes


def load_tls_files(ca: Path | None, cert: Path | None, key: Path | None) -> TlsCredentials | None:
    """Read the three PEM files; None if no path is given. Raises CodecSightError if only some paths
    are given or a file can't be read.
    """
    if ca is None and cert is None and key is None:
        return None
    if ca is None or cert is None or key is None:
        raise CodecSightError("TLS needs all of ca, cert and key, or none of them")
    try:
        return TlsCredentials(ca.read_bytes(), cert.read_bytes(), key.read_bytes())
    except OSError as error:
        raise CodecSightError(f"TLS: {error.filename} can't be read: {error.strerror}") from error


def aio_channel(address: str, tls: TlsCredentials | None) -> grpc.aio.Channel:
    """A channel to `address` (host:port). Create it inside the event loop that uses it."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_CLIENT)
    return grpc.aio.secure_channel(address, _client_credentials(tls), options=_CLIENT)


def blocking_channel(address: str, tls: TlsCredentials | None) -> grpc.Channel:
    """A channel to `address` (host:port) for blocking calls."""
    if tls is None:
        return grpc.insecure_channel(address, options=_CLIENT)
    return grpc.secure_channel(address, _client_credentials(tls), options=_CLIENT)


def aio_server(address: str, tls: TlsCredentials | None) -> tuple[grpc.aio.Server, int]:
    """A server bound to `address`, and its port (`host:0` selects a free one). With `tls` it
    accepts only clients with a certificate of the same authority. Raises CodecSightError if the
    address can't be bound.
    """
    server = grpc.aio.server(options=_SERVER, maximum_concurrent_rpcs=MAX_CALLS)
    try:
        if tls is None:
            return server, server.add_insecure_port(address)
        return server, server.add_secure_port(address, _server_credentials(tls))
    except RuntimeError as error:
        raise CodecSightError(
            f"can't listen on {address}: the port is in use, or the address is not local"
        ) from error


def _client_credentials(tls: TlsCredentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)


def _server_credentials(tls: TlsCredentials) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials([(tls.key, tls.cert)], tls.ca, require_client_auth=True)
