"""URLs of sources: known schemes pass, others get an error that says what was expected."""

import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.source_url import check_source_url


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://10.0.0.7/main",
        "RTSP://[2001:db8::7]:8554/main",
        " rtsps://camera.local:322",
        "http://10.0.0.7:80/snapshot.jpg?channel=1",
        "udp://239.0.0.1:5000",
        "world://street?seed=3",
        "file:///srv/a%20b.mp4",
        "/srv/a: b.mp4",
        "clips/12:30.mp4",
        "/dev/video0",
    ],
)
def test_a_known_scheme_or_a_path_passes(url: str) -> None:
    check_source_url(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "the URL is empty"),
        ("  ", "the URL is empty"),
        ("rtps://10.0.0.7/main", "unknown scheme 'rtps'; did you mean "),
        ("htpp://10.0.0.7/main", "did you mean http or https?"),
        ("gopher://10.0.0.7/main", "unknown scheme 'gopher'; known: rtsp,"),
        ("rtsp:/10.0.0.7/main", "the host is missing; expected rtsp://HOST"),
        ("rtsp://", "the host is missing"),
        ("rtsp://10.0.0.7:65536/main", "a port up to 65535"),
        ("rtsp://2001:db8::7/main", "an IPv6 address in brackets"),
    ],
)
def test_another_url_is_an_error_that_says_what_was_expected(url: str, message: str) -> None:
    with pytest.raises(CodecSightError) as caught:
        check_source_url(url)
    assert message in str(caught.value)


def test_no_error_shows_a_password() -> None:
    for url in (
        "rtsp://admin:s3cret@10.0.0.7:70000/",  # pragma: allowlist secret
        "rtps://admin:s3cret@10.0.0.7/",  # pragma: allowlist secret
    ):
        with pytest.raises(CodecSightError) as caught:
            check_source_url(url)
        assert "s3cret" not in str(caught.value)
