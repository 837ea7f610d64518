"""URLs of archives: what they mean, and errors that say which form is expected."""

from pathlib import Path

import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.urls.archive_url import S3Location, parse_archive_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("dir:/mnt/nas", Path("/mnt/nas")),
        ("DIR:/mnt/nas", Path("/mnt/nas")),
        ("/mnt/nas/a:b", Path("/mnt/nas/a:b")),
        ("dir:~/video", Path.home() / "video"),
        ("relative", Path.cwd() / "relative"),
        (
            "s3://video/yard/7?endpoint=s3.example.org",
            S3Location("s3.example.org", "video", "yard/7", secure=True, region=None),
        ),
        (
            "S3://video?endpoint=127.0.0.1:9000&region=eu-1",
            S3Location("127.0.0.1:9000", "video", "", secure=False, region="eu-1"),
        ),
        (
            "s3://video?endpoint=http://[2001:db8::1]:9000",
            S3Location("[2001:db8::1]:9000", "video", "", secure=False, region=None),
        ),
        (
            "s3://video?endpoint=127.evil.com:80",
            S3Location("127.evil.com:80", "video", "", secure=True, region=None),
        ),
    ],
)
def test_a_url_names_a_folder_or_a_bucket(url: str, expected: Path | S3Location) -> None:
    assert parse_archive_url(url) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "names no folder: use dir:/PATH or s3://BUCKET"),
        ("dir: ", "names no folder"),
        ("dri:x", "unknown archive scheme 'dri:'"),
        ("s4://video?endpoint=h:1", "unknown archive scheme 's4:'"),
        ("ftp://video", "unknown archive scheme 'ftp:'"),
        ("s3://video", "the endpoint is missing"),
        ("s3:///prefix?endpoint=h:1", "the bucket is missing"),
        ("s3://video?endpoint=h:1&secure=0", "unknown option 'secure'"),
        ("s3://Video?endpoint=h:1", "'Video' is not the name of a bucket"),
        ("s3://video?endpoint=h:70000", "the endpoint 'h:70000' is not HOST:PORT"),
        ("s3://video?endpoint=h:port", "is not HOST:PORT"),
        ("s3://video?endpoint=ftp://h", "is not HOST:PORT"),
    ],
)
def test_another_text_is_an_error_that_says_what_was_expected(url: str, message: str) -> None:
    with pytest.raises(CodecSightError, match=message):
        parse_archive_url(url)


@pytest.mark.parametrize("user", ["key:k3y", "key:k3/y", "key:k3#y", "key:k3?y"])
def test_no_error_shows_keys_that_were_put_into_the_url(user: str) -> None:
    with pytest.raises(CodecSightError) as caught:
        parse_archive_url(f"s3://{user}@video?endpoint=h:1")
    assert "k3" not in str(caught.value)
