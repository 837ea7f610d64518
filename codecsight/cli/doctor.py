"""`codecsight doctor`: measure a source and estimate the cost of analysing it."""

import time
from dataclasses import asdict, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from codecsight.cli.options import AsJson, Policy, Transport
from codecsight.cli.output import err, out, print_json

if TYPE_CHECKING:
    from codecsight.change.tracker import ChangeTracker
    from codecsight.core.frame import Frame
    from codecsight.video.report import ProbeReport


def doctor(
    source: Annotated[
        str, typer.Argument(help="Video file, rtsp:// URL, or world://NAME (simulated).")
    ],
    seconds: Annotated[
        float, typer.Option(help="Seconds of stream time to measure.", min=1)
    ] = 10.0,
    policy: Policy = "tracked",
    transport: Transport = "tcp",
    as_json: AsJson = False,
) -> None:
    """Measure a video source and give advice.

    Reports the codec, the measured and the declared frame rate, GOP length, B-frames, the codec
    signals that are available, losses, CPU time per frame, and the share of cells that would be
    sent to the cloud.

    Example: `codecsight doctor rtsp://10.0.0.7/main --seconds 30`
    """
    from codecsight.video.capture.source import SourceOptions
    from codecsight.video.probe import probe

    tracking = _Tracking(policy)
    options = SourceOptions(transport=transport)
    with err.status(f"measuring {seconds:g} s of stream"):
        report = probe(source, seconds, options, tracking.add)
    row = asdict(replace(report, advice=[*report.advice, *tracking.advice()]))
    row["kept_share"] = tracking.kept_share
    row["reasons"] = tracking.reasons
    row["noise"] = tracking.noise
    row["camera_moves"] = tracking.camera_moves
    row |= _cost(report, tracking.ms)
    if as_json:
        print_json(row)
    else:
        _show(row)


def _cost(report: "ProbeReport", tracking_ms: float | None) -> dict[str, float | None]:
    """CPU cost: tracking time in ms per frame, and cores per stream and streams per core, decoding
    included.
    """
    if tracking_ms is None or not report.measured_fps:
        return {"tracking_ms": None, "cpu_per_stream": None}
    core = (report.decode_ms + tracking_ms) * report.measured_fps / 1000
    return {
        "tracking_ms": round(tracking_ms, 3),
        "cpu_per_stream": round(core, 4),
        "streams_per_core": round(1 / core, 1) if core else 0.0,
    }


class _Tracking:
    """Statistics of the change tracker, the noise meter and the camera motion over the frames.

    The tracker uses the grid of the built-in model.
    """

    def __init__(self, policy: str) -> None:
        from codecsight.video.codec.noise import NoiseMeter

        self._policy = policy
        self._tracker: ChangeTracker | None = None
        self._noise = NoiseMeter()
        self._frames = self._moving = 0
        self._slot_times: list[float] = []
        self._frame_times: list[float] = []

    def add(self, frame: "Frame") -> None:
        from codecsight.change.measurement.camera_motion import IDENTITY, estimate_camera_motion

        self._noise.update(frame)
        motion = estimate_camera_motion(frame.signals)
        self._frames += motion is not None
        self._moving += motion is not None and motion is not IDENTITY
        self._track(frame)

    def _track(self, frame: "Frame") -> None:
        from codecsight.change.policies import make_policy
        from codecsight.change.tracker import ChangeTracker
        from codecsight.core.grid import GridSpec
        from codecsight.core.slot import ANCHOR_EVERY

        if self._tracker is None:
            spec = GridSpec(cell=16, frames=2, rate=2.0, max_cells=48)  # of the built-in model
            grid = spec.fit(frame.width, frame.height)
            self._tracker = ChangeTracker(grid, make_policy(self._policy, grid), ANCHOR_EVERY)
        start = time.thread_time()
        slot = self._tracker.feed(frame)
        self._slot_times.append(time.thread_time() - start)
        if slot is not None:
            self._frame_times.append(fmean(self._slot_times))
            self._slot_times = []

    @property
    def ms(self) -> float | None:
        """Milliseconds per frame: the median over slots, as the first one includes compilation."""
        return 1000 * median(self._frame_times) if self._frame_times else None

    @property
    def kept_share(self) -> float | None:
        """Share of cells that were kept, anchors included; None before the first slot."""
        counters = self._tracker.counters if self._tracker else None
        return round(counters.kept / counters.total, 4) if counters and counters.total else None

    @property
    def noise(self) -> float | None:
        """Standard deviation of the sensor's noise after compression, in grey levels."""
        level = self._noise.level
        return None if level is None else round(level, 2)

    @property
    def camera_moves(self) -> float | None:
        """Share of frames with camera motion; None if the codec exports no motion vectors."""
        return round(self._moving / self._frames, 4) if self._frames else None

    @property
    def reasons(self) -> dict[str, int]:
        counters = self._tracker.counters if self._tracker else None
        return (
            {reason.name.lower(): n for reason, n in counters.reasons.items()} if counters else {}
        )

    def advice(self) -> list[str]:
        share = self.kept_share
        if share is None:
            return ["Too short to estimate the share of cells sent; increase --seconds."]
        advice = []
        if share > 0.7:
            advice.append(f"{share:.0%} of the cells change: pruning saves little on this scene.")
        if (self.camera_moves or 0) > 0.2:
            advice.append(
                f"The camera moves in {self.camera_moves:.0%} of the frames: mount it firmly, or "
                "analyse it only between tours; every area that comes into view is sent."
            )
        if (self.noise or 0) > 6:
            advice.append(
                f"The picture is noisy ({self.noise:.0f} grey levels), which hides faint changes "
                "and raises the bit rate: add light or enable the camera's noise reduction."
            )
        return advice


def _show(row: dict[str, Any]) -> None:
    advice = row.pop("advice")
    table = Table(show_header=False, box=None)
    for key, value in row.items():
        table.add_row(key.replace("_", " "), _text(value))
    out.print(table)
    for sentence in advice:
        out.print(f"• {sentence}", highlight=False)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, tuple | list):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    return str(value)
