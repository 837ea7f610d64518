"""Errors of the engine: what it rejects, and why."""

from codecsight.core.errors import CodecSightError


class EngineError(CodecSightError):
    """A call the engine cannot serve; no session is affected."""


class SlotRefused(EngineError):  # noqa: N818 - an expected outcome, not a fault
    """A slot that does not fit its stream; the window is unchanged."""


class AdmissionRefused(EngineError):  # noqa: N818
    """No memory for one more stream: it needs `needed` of a `resource` (KV blocks or bytes), of
    which `free` are left. `option` names the setting that bounds it.
    """

    def __init__(self, stream: str, needed: int, free: int, resource: str, option: str) -> None:
        super().__init__(
            f"stream {stream!r} needs {needed} {resource} and {free} are free; close a stream, "
            f"shorten the window, ask for fewer cells, or raise {option}"
        )
        self.needed, self.free = needed, free


class DeviceBusy(EngineError):  # noqa: N818
    """No device time for one more stream: the device is busy for the share `utilization` of the
    time with the `streams` that are open, and for the share `expected` with one more.
    """

    def __init__(self, stream: str, streams: int, utilization: float, expected: float) -> None:
        super().__init__(
            f"no device time for stream {stream!r}: {streams} streams keep the device busy for "
            f"{utilization:.0%} of the time, and {expected:.0%} are expected with one more; close "
            "a stream, sample fewer frames, or raise max_utilization"
        )
        self.streams, self.utilization, self.expected = streams, utilization, expected


class AnchorRequired(EngineError):  # noqa: N818
    """A stream's window and queued jobs are lost; it continues from its next anchor."""

    def __init__(self, stream: str, why: str) -> None:
        super().__init__(f"stream {stream!r}: {why}; it continues from its next anchor")
