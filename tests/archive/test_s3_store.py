"""Failures specific to S3, against a real server, and archive URLs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster.s3_server import S3Server
from codecsight.archive.errors import ArchiveError
from codecsight.archive.store_factory import open_store
from codecsight.core.urls.credentials import S3Keys

KEYS = S3Keys("the-access-key", "the-secret-key")


@contextmanager
def fixed_reply_server(reply: bytes) -> Iterator[str]:
    """A TCP server that sends the same reply to every client; yields its host:port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


@pytest.mark.s3
@pytest.mark.parametrize("wrong", ["access", "secret"])
def test_a_denied_key_is_reported_without_showing_it(s3: S3Server, wrong: str) -> None:
    good = s3.keys
    keys = S3Keys("nobody", good.secret_key) if wrong == "access" else S3Keys(good.access_key, "x")
    with pytest.raises(ArchiveError, match=r"denied access.*check access key") as caught:
        open_store(s3.url, keys).put_bytes("rows/a", b"x")
    assert good.access_key not in str(caught.value)
    assert good.secret_key not in str(caught.value)


@pytest.mark.s3
def test_a_missing_bucket_is_named(s3: S3Server) -> None:
    store = open_store(f"s3://nothing-here?endpoint=http://{s3.endpoint}", s3.keys)
    with pytest.raises(ArchiveError, match=r"bucket nothing-here at .* does not exist: create it"):
        list(store.list_objects("rows/"))


def test_an_unreachable_server_is_reported_with_its_address() -> None:
    store = open_store("s3://seg?endpoint=127.0.0.1:9", KEYS)
    with pytest.raises(ArchiveError, match=r"127\.0\.0\.1:9 cannot be reached.*refused"):
        store.put_bytes("rows/a", b"x")


def test_a_server_that_does_not_speak_s3_is_reported() -> None:
    page = b"HTTP/1.1 400 Bad\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"
    with (
        fixed_reply_server(page) as endpoint,
        pytest.raises(ArchiveError, match="is not an S3 server"),
    ):
        open_store(f"s3://seg?endpoint={endpoint}", KEYS).read("rows/a")
    with (
        fixed_reply_server(b"SSH-2.0-x\r\n") as endpoint,
        pytest.raises(ArchiveError, match="reached"),
    ):
        open_store(f"s3://seg?endpoint={endpoint}", KEYS).read("rows/a")


def test_keys_are_never_shown() -> None:
    assert "the-" not in repr(KEYS)
    assert "the-" not in str(open_store("s3://seg?endpoint=localhost:9", KEYS).name)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://seg", "endpoint is missing: .*endpoint=HOST:PORT"),
        ("s3://key:secret@seg?endpoint=h:1", "without keys in it"),  # pragma: allowlist secret
        ("ftp://seg", "unknown archive scheme 'ftp:'"),
    ],
)
def test_an_invalid_url_is_rejected_with_the_expected_form(url: str, message: str) -> None:
    with pytest.raises(ArchiveError, match=message) as caught:
        open_store(url, KEYS).put_bytes("rows/a", b"x")
    assert "secret@" not in str(caught.value)


def test_an_s3_archive_without_keys_is_rejected() -> None:
    with pytest.raises(ArchiveError, match="needs an access key"):
        open_store("s3://seg?endpoint=h:1")


def test_a_plain_path_opens_a_folder_store(tmp_path: Path) -> None:
    open_store(str(tmp_path / "a")).put_bytes("rows/x", b"x")
    assert open_store(f"dir:{tmp_path / 'a'}").read("rows/x") == b"x"


@pytest.mark.parametrize(
    ("endpoint", "scheme"),
    [("s3.example.com", "https"), ("http://minio:9000", "http"), ("127.0.0.1:9000", "http")],
)
def test_tls_is_the_default_except_on_loopback(endpoint: str, scheme: str) -> None:
    store = open_store(f"s3://seg?endpoint={endpoint}", KEYS)
    assert store._client._base_url.is_https == (scheme == "https")  # type: ignore[attr-defined]
