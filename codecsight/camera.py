"""Edge pipeline of one camera: packets -> decoder -> frames and signals -> tracker -> slots.

Example: at 2 sampled frames per second and 2 frames per slot, a 25 fps camera completes one slot
per second. The first one is an anchor with every cell; the next ones are deltas with changed cells.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from codecsight.change.ignore import Polygon
from codecsight.change.policies import make_policy
from codecsight.change.sampler import SamplingRange
from codecsight.change.tracker import ChangeTracker
from codecsight.core.frame import Frame
from codecsight.core.grid import GridSpec
from codecsight.core.orientation import Orientation
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import Slot
from codecsight.video.codec.decoder import Decoder


@dataclass(slots=True)
class CameraCounters:
    """Totals of a pipeline since its start. `anomalies` counts decoding errors by name."""

    frames: int = 0
    source_bytes: int = 0
    slots: int = 0
    cells_kept: int = 0
    cells_total: int = 0
    anomalies: Counter[str] = field(default_factory=Counter)


class CameraPipeline:
    """Passes a stream's items through a decoder and a change tracker.

    A new StreamInfo (the source reconnected) creates a new decoder, and the tracker continues with
    an anchor, because changes during the interruption are unknown. The grid fits the picture that a
    player shows (see Frame). Where its shape changes, also in mid-stream, so does that of the
    slots; `size` is the (width, height) of the picture of the newest slot.
    """

    def __init__(
        self,
        spec: GridSpec,
        policy: str,
        anchor_every: int,
        sampling_range: SamplingRange | None = None,
        ignore: Sequence[Polygon] = (),
    ) -> None:
        self.spec = spec
        self.counters = CameraCounters()
        self.info: StreamInfo | None = None
        self.tracker: ChangeTracker | None = None
        self.size: tuple[int, int] | None = None
        self._view: tuple[tuple[int, int], Orientation] | None = None
        self._policy = policy
        self._anchor_every = anchor_every
        self._sampling_range = sampling_range
        self._ignore = ignore
        self._past_anomalies: Counter[str] = Counter()
        self._decoder: Decoder | None = None

    def feed(self, item: StreamInfo | Packet) -> list[Slot]:
        """Process an item; returns the slots it completes: mostly none, sometimes one."""
        if isinstance(item, StreamInfo):
            return self._connect(item)
        if self._decoder is None:
            return []
        self.counters.source_bytes += len(item.data)
        return self._track(self._decoder.decode(item))

    def flush(self) -> list[Slot]:
        """Return the slots of frames still buffered in the decoder at the end of the stream."""
        if self._decoder is None:
            return []
        slots = self._track(self._decoder.flush())
        last = self.tracker.flush() if self.tracker is not None else None
        return slots if last is None else [*slots, self._counted(last)]

    def force_anchor(self) -> None:
        """Make the next slot an anchor, because the receiver's state is no longer known."""
        if self.tracker is not None:
            self.tracker.force_anchor()

    def _connect(self, info: StreamInfo) -> list[Slot]:
        make_policy(self._policy, self.spec.fit(*info.shown_size))  # fails now if it is unknown
        slots = self.flush()
        if self._decoder is not None:
            self._past_anomalies += self._decoder.anomalies
        self.info = info
        self._decoder = Decoder(info, self._motion_interval_s)
        self.force_anchor()
        return slots

    def _motion_interval_s(self) -> float:
        return self.tracker.motion_interval_s if self.tracker is not None else 0.0

    def _track(self, frames: list[Frame]) -> list[Slot]:
        assert self._decoder is not None  # noqa: S101
        slots = []
        for frame in frames:
            slot = self._tracker_for(frame).feed(frame)
            if slot is not None:
                self.size = frame.shown_size
                slots.append(self._counted(slot))
        self.counters.frames += len(frames)
        self.counters.anomalies = self._past_anomalies + self._decoder.anomalies
        return slots

    def _tracker_for(self, frame: Frame) -> ChangeTracker:
        """The tracker, or a new one where the shown picture has another shape or orientation."""
        view = frame.shown_size, frame.orientation
        if self.tracker is None or view != self._view:
            grid = self.spec.fit(*frame.shown_size)
            turned = self._view is not None and frame.orientation != self._view[1]
            if self.tracker is None or turned or grid != self.tracker.grid:
                policy = make_policy(self._policy, grid)
                self.tracker = ChangeTracker(
                    grid, policy, self._anchor_every, self._sampling_range, self._ignore
                )
            self._view = view
        return self.tracker

    def _counted(self, slot: Slot) -> Slot:
        self.counters.slots += 1
        self.counters.cells_kept += slot.kept_count
        self.counters.cells_total += slot.cell_count
        return slot
