"""What the engine refuses, and why."""

from codecsight.core.errors import CodecSightError


class EngineError(CodecSightError):
    """A call the engine cannot serve; no session was harmed."""


class SlotRefused(EngineError):  # noqa: N818 - it is no fault, but an answer
    """A slot that does not fit its stream; the window is as it was before."""


class AdmissionRefused(EngineError):  # noqa: N818
    """No room for one more stream: it would need `needed` of `what` where `free` are left; the
    option `more` says how much there is.
    """

    def __init__(self, stream: str, needed: int, free: int, what: str, more: str) -> None:
        super().__init__(
            f"stream {stream!r} needs {needed} {what} and {free} are free; close a stream, "
            f"shorten the window, ask for fewer cells, or raise {more}"
        )
        self.needed, self.free = needed, free


class DeviceBusy(EngineError):  # noqa: N818
    """No time for one more stream: the `streams` that are there keep the device at work for the
    share `load` of the time, and with it `expected` is to be expected.
    """

    def __init__(self, stream: str, streams: int, load: float, expected: float) -> None:
        super().__init__(
            f"stream {stream!r} would come too much: {streams} streams keep the device at work for "
            f"{load:.0%} of the time, and {expected:.0%} are to be expected with it; close a "
            "stream, sample less, or raise max_utilization"
        )
        self.streams, self.load, self.expected = streams, load, expected


class AnchorRequired(EngineError):  # noqa: N818
    """What waited for a stream is lost, and what it had shown; it goes on from its next anchor."""

    def __init__(self, stream: str, why: str) -> None:
        super().__init__(f"stream {stream!r}: {why}; it goes on from its next anchor")
