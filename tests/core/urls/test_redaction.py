"""Secrets in URLs: the forms that cameras, recorders and people use, and what is left of them."""

import time

import pytest

from codecsight.core.urls.redaction import redact_text, redact_url

SECRET = "Geheim7"

USER_PARTS = [
    ("rtsp://admin:Geheim7@10.0.0.7:554/main", "rtsp://***@10.0.0.7:554/main"),
    ("rtsp://Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://:Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:#Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:/Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:12/Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:?Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:a@Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:a:Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:my Geheim7 @cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:%23Geheim7@cam.lan/main", "rtsp://***@cam.lan/main"),
    ("rtsp://admin:Geheim7%40cam.lan/main", "rtsp://***@cam.lan/main"),
    ("RTSPS://admin:Geheim7@[fe80::1]:322/x", "RTSPS://***@[fe80::1]:322/x"),
    ("  rtsp://admin:Geheim7@cam.lan/x", "  rtsp://***@cam.lan/x"),
    ("rtsp:///admin:Geheim7@cam.lan/x", "rtsp:///***@cam.lan/x"),
    ("rtsp:/admin:Geheim7@cam.lan/x", "***@cam.lan/x"),
    ("rtsp//admin:Geheim7@cam.lan/x", "***@cam.lan/x"),
    ("//admin:Geheim7@10.0.0.7/main", "//***@10.0.0.7/main"),
    ("admin:Geheim7@10.0.0.7:554/main", "***@10.0.0.7:554/main"),
    ("http://go2rtc:1984/frame.jpeg?src=rtsp://admin:Geheim7@cam/x", "http://***@cam/x"),
    ("http://go2rtc:1984/f?src=rtsp%3A%2F%2Fadmin%3AGeheim7%40cam%2Fx", "http://***@cam%2Fx"),
    ("rtsp%3A%2F%2Fadmin%3AGeheim7%40cam%2Fx", "rtsp%3A%2F%2F***@cam%2Fx"),
    ("s3://AKIA:Geheim7@bucket/a?endpoint=h:9000", "s3://***@bucket/a?endpoint=h:9000"),
]
CUT_OR_HIDDEN_LOGINS = [
    ("rtsp://admin:Geheim7", "rtsp://***"),
    ("rtsp://admin:Geheim7/x", "rtsp://***/x"),
    ("rtsp://a:1@h/x|rtsp://b:Geheim7@h/y", "rtsp://***@h/x|rtsp://***@h/y"),
    ("file://admin:Geheim7@h/x", "file://***@h/x"),
    ("file:///x?password=Geheim7", "file:///x?password=***"),
    ("world://yard?password=Geheim7&seed=1", "world://yard?password=***&seed=1"),
    ("http://h/login/admin:Geheim7@/x", "http://h/login/***@/x"),
    ("rtsp://10.0.0.7:554/admin:Geheim7@x", "rtsp://10.0.0.7:554/***@x"),
]
PARAMETERS = [
    ("http://h/c?pin=Geheim7&code=Geheim7&codec=h264", "http://h/c?pin=***&code=***&codec=h264"),
    ("http://h/c?kennwort=Geheim7&senha=Geheim7", "http://h/c?kennwort=***&senha=***"),
    ("http://h/c?user:admin&pwd:Geheim7&x:1", "http://h/c?user:***&pwd:***&x:1"),
    ('http://h/c?{"user":"a","password":"Geheim7"}', 'http://h/c?{"user":***","password":***"}'),
    (
        "rtsp://h/c?user=admin&password=Geheim7&channel=1",
        "rtsp://h/c?user=***&password=***&channel=1",
    ),
    ("rtsp://h/c?channel=1&PASSWORD=Geheim7", "rtsp://h/c?channel=1&PASSWORD=***"),
    ("http://h/c?password=a#Geheim7", "http://h/c?password=***"),
    ("http://h/c?password=a/Geheim7&channel=1", "http://h/c?password=***&channel=1"),
    ("http://h/c?channel=1&password=a&Geheim7", "http://h/c?channel=1&password=***"),
    ("http://h/c?token=Geheim7==&x=1", "http://h/c?token=***&x=1"),
    (
        "rtsp://h/user=a&password=Geheim7&stream=0.sdp?",
        "rtsp://h/user=***&password=***&stream=0.sdp?",
    ),
    (
        "rtsp://h:554/user=a_password=a_Geheim7_channel=1_stream=0.sdp",
        "rtsp://h:554/user=***_password=***_channel=1_stream=0.sdp",
    ),
    ("http://h/v.cgi?loginuse=a&loginpas=Geheim7", "http://h/v.cgi?loginuse=***&loginpas=***"),
    ("http://h/s.cgi?usr=admin&pwd=Geheim7", "http://h/s.cgi?usr=***&pwd=***"),
    ("http://h/s.cgi?u=admin&p=Geheim7&res=2", "http://h/s.cgi?u=***&p=***&res=2"),
    ("http://h/c%3Fpassword%3DGeheim7%26x%3D1", "http://h/c%3Fpassword%3D***%26x%3D1"),
    ("http://h/c?%70assword=Geheim7", "http://h/c?%70assword=***"),
    ("http://h/c?user_password=Geheim7&long_name=1", "http://h/c?user_password=***&long_name=1"),
    ("h/c?user=admin&password=Geheim7", "h/c?user=***&password=***"),
    (
        "s3://b/a?endpoint=h:9000&access_key=Geheim7&secret_key=Geheim7",
        "s3://b/a?endpoint=h:9000&access_key=***&secret_key=***",
    ),
    (
        "https://b/x.mp4?X-Amz-Credential=Geheim7%2Fus&X-Amz-Signature=Geheim7&X-Amz-Date=1",
        "https://b/x.mp4?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Date=1",
    ),
    ("srt://h:9000?passphrase=Geheim7&mode=caller", "srt://h:9000?passphrase=***&mode=caller"),
    ("srt://h:9000?streamid=#!::u=a,s=Geheim7", "srt://h:9000?streamid=#!::u=***,s=***"),
    ("rtsp://h/live#password=Geheim7", "rtsp://h/live#password=***"),
]
TOKENS = [
    ("rtsps://10.0.0.1:7441/AbCdGeheim7fGhIj?enableSrtp", "rtsps://10.0.0.1:7441/***?enableSrtp"),
    ("https://h/live/6f9619ff-8b86-d011-b42d-00c04fc964ff/a.m3u8", "https://h/live/***/a.m3u8"),
    ("https://h/0123456789abcdef0123456789abcdef", "https://h/***"),
]  # fmt: skip
HARMLESS = [
    "rtsp://10.0.0.7:554/cam@1",
    "rtsp://cam.lan/Streaming/Channels/101?transportmode=unicast",
    "rtsp://cam.lan/h264Preview_01_main",
    "rtsp://[fe80::1]:554/cam/realmonitor?channel=1&subtype=0",
    "world://yard?seed=7&bitrate=200000",
    "s3://bucket/prefix?endpoint=10.0.0.2:9000&region=eu",
    "/srv/videos/12:30@yard.mp4",
    "/srv/user=7/yard.mp4",
    "file:///srv/user=7/a.mp4",
    "yard.mp4",
    "rtsp://HOST[:PORT]/PATH",
    "http://[fe80::1]/x",
    "http://h:80/a:b",
]


@pytest.mark.parametrize(
    ("url", "shown"), [*USER_PARTS, *CUT_OR_HIDDEN_LOGINS, *PARAMETERS, *TOKENS]
)
def test_secrets_are_replaced_and_the_rest_stays(url: str, shown: str) -> None:
    assert redact_url(url) == shown
    assert SECRET not in redact_url(url)


@pytest.mark.parametrize("url", HARMLESS)
def test_urls_without_secrets_stay_as_they_are(url: str) -> None:
    assert redact_url(url) == url
    assert redact_text(f"{url}: no such camera") == f"{url}: no such camera"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pair
        for pair in [*USER_PARTS, *PARAMETERS, *TOKENS]
        if "://" in pair[0] and " " not in pair[0]
    ],
)
def test_urls_inside_a_text_are_redacted(url: str, shown: str) -> None:
    assert redact_text(f"[Errno 5] I/O error: '{url}'") == f"[Errno 5] I/O error: '{shown}'"


def test_redacting_twice_changes_nothing() -> None:
    for _, shown in [*USER_PARTS, *PARAMETERS, *TOKENS]:
        assert redact_url(shown) == shown


def test_long_texts_take_no_time_to_speak_of() -> None:
    started = time.thread_time()
    for part in ("a", "a:", "_a", "x=", "x=1&", "a%41", ":@", "/aA1b", "://", "p=_"):
        redact_url(part * 10_000)
        redact_text(f"http://h/{part * 10_000} {part * 10_000}")
    assert time.thread_time() - started < 5
