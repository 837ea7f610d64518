"""Polls a URL that gives one still picture, such as a camera's JPEG snapshot."""

import time
from collections.abc import Callable, Iterator

from av.error import FFmpegError

from codecsight.video.capture.connection import Connection
from codecsight.video.capture.failure import is_refused_login
from codecsight.video.capture.pacer import StopFlag


class StillPicturePoller:
    """Opens a still picture again and again.

    Every `interval_s` seconds, or slower, so that fetching takes at most half of the time. A fetch
    that fails is repeated at the next time, until no picture came for `timeout_s`.
    """

    def __init__(
        self,
        open_again: Callable[[], Connection],
        interval_s: float,
        timeout_s: float,
        stop: StopFlag,
    ) -> None:
        self._open_again = open_again
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._stop = stop

    def connections(self, started: float) -> Iterator[Connection]:
        """Yield a connection for each fetch, to be read and then closed by the caller.

        The first picture was requested at `started`, a monotonic time. Raises FFmpegError after
        fetches that failed for too long, and at once for a refused login.
        """
        arrived = time.monotonic()
        while not self._stop:
            now = time.monotonic()
            self._stop.sleep(max(self._interval_s - (now - started), now - started))
            if self._stop:
                return
            started = time.monotonic()
            try:
                connection = self._open_again()
            except FFmpegError as error:
                if is_refused_login(error) or time.monotonic() - arrived > self._timeout_s:
                    raise
                continue
            yield connection
            arrived = time.monotonic()
