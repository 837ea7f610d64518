"""What a failed connection to a camera means, and how long to wait before the next attempt."""

import errno
import random

from av.error import FFmpegError, HTTPForbiddenError, HTTPUnauthorizedError, InvalidDataError

from codecsight.core.urls.redaction import redact_text, redact_url
from codecsight.video.capture.source import SourceOptions

_LOGIN_HINTS = {
    HTTPUnauthorizedError: "login refused (401): check user name and password",
    HTTPForbiddenError: "access denied (403): check user name, password and the user's rights; "
    "some cameras lock out for a while",
}


def is_refused_login(error: Exception | None) -> bool:
    """Whether the camera refused the user. Trying again soon would make it lock the user out."""
    return isinstance(error, (HTTPUnauthorizedError, HTTPForbiddenError))


def describe_failure(error: Exception, url: str, transport: str) -> str:
    """Why a connection to `url` failed and what to do about it, without secrets."""
    for kind, hint in _LOGIN_HINTS.items():
        if isinstance(error, kind):
            return hint
    scheme = url.partition(":")[0].lower()
    if scheme in ("rtsp", "rtsps") and getattr(error, "errno", None) == errno.EPROTONOSUPPORT:
        other = "udp" if transport == "tcp" else "tcp"
        return (
            f"the camera refuses RTSP over {transport.upper()} (461 Unsupported Transport): "
            f"use --transport {other}, in site.yaml `transport: {other}`"
        )
    if scheme in ("http", "https") and isinstance(error, InvalidDataError):
        return "what the URL gives is neither video nor a picture; is it a web page?"
    text = error.strerror if isinstance(error, FFmpegError) else None
    text = text or str(error) or type(error).__name__
    return redact_text(text.replace(url, redact_url(url)))


class RetryDelays:
    """Delays between attempts to connect: doubled at every failure in a row, up to a maximum.

    Refused logins have their own, longer delays, because cameras lock users out.
    """

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._retry_s = options.retry_min_s
        self._login_s = options.login_retry_min_s

    def after_failure(self, lasted_s: float) -> float:
        """Seconds until the next attempt, after a connection or attempt that lasted `lasted_s`."""
        # A connection that lasted is not a repeated failure: start again with short delays.
        if lasted_s > 2 * self._options.timeout_s:
            self._retry_s = self._options.retry_min_s
        delay = self._retry_s * random.uniform(0.5, 1.0)  # noqa: S311
        self._retry_s = min(2 * self._retry_s, self._options.retry_max_s)
        return delay

    def after_refused_login(self) -> float:
        """Seconds until the next attempt, after the camera refused the login."""
        delay = self._login_s
        self._login_s = min(2 * self._login_s, self._options.login_retry_max_s)
        return delay

    def connected(self) -> None:
        """The camera accepted the login."""
        self._login_s = self._options.login_retry_min_s
