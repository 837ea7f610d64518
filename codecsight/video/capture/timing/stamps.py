"""What is known of a connection's timestamps, for the rules that judge the next one."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median_low

MAX_REORDER_S = 1.0
"""How far pictures are displayed before those decoded before them, where there are B-frames."""

MAX_REORDER_PICTURES = 17
MAX_REORDER_STEPS = 4
STEPS = 9


@dataclass(slots=True)
class Line:
    """The newest value of one kind of timestamp (dts or pts): as it was sent, and where the stream
    has it, in ticks.
    """

    sent: int | None = None
    placed: int | None = None


@dataclass(slots=True)
class Track:
    """Timestamps of one connection so far. `tick` is in seconds; `offset` maps stamps that are
    believed to the stream's clock. `ordered`: there are no B-frames, so pts rise as dts do.
    """

    tick: float
    ordered: bool
    nominal: float = 0.0
    offset: int = 0
    dts: Line = field(default_factory=Line)
    pts: Line = field(default_factory=Line)
    steps: "deque[int]" = field(default_factory=lambda: deque(maxlen=STEPS))

    @property
    def usual(self) -> int | None:
        """The usual distance of two stamps in ticks; None if none was regular yet."""
        return median_low(self.steps) if self.steps else None

    @property
    def step(self) -> int:
        """As `usual`, from the declared frame rate if necessary; at least one tick."""
        return max(1, self.usual or round(self.nominal / self.tick))

    @property
    def reorder_s(self) -> float:
        """How far pts may fall where there are B-frames, in seconds; more where frames are rare."""
        return max(MAX_REORDER_S, MAX_REORDER_STEPS * self.step * self.tick)

    @property
    def shortest(self) -> int:
        """The least distance of two placed stamps: a millisecond, as in Matroska."""
        return max(1, round(0.001 / self.tick))

    def line(self, dts: int | None) -> Line:
        """The kind of timestamp by which a packet is judged: dts where there are any."""
        return self.dts if dts is not None and self.dts.sent is not None else self.pts

    def credible_pts(self, pts: int | None, dts: int | None) -> int | None:
        """`pts`, unless it is too far from `dts` for any order of pictures."""
        if pts is None or dts is None:
            return pts
        usual = self.usual
        limit = max(MAX_REORDER_S, MAX_REORDER_PICTURES * usual * self.tick) if usual else 10.0
        if abs(pts - dts) * self.tick <= limit:
            return pts
        return dts if self.ordered else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a packet is placed: `shift` is added to its stamps. `offset` holds for those after it;
    `sent` tells whether they are measured from this packet. `anomaly` is empty if it is believed.
    """

    shift: int
    offset: int
    sent: bool = True
    anomaly: str = ""

    @classmethod
    def believed(cls, offset: int) -> "Verdict":
        """The packet is where its stamp says."""
        return cls(offset, offset)


STOOD_STILL = "timestamps that stood still"
JUMP = "clock jumps"


def anomaly_of(step: int) -> str:
    """The name of the anomaly of a stamp `step` ticks after the one before."""
    return STOOD_STILL if step == 0 else JUMP


def falls_back(step: int, track: Track, *, ordered: bool) -> bool:
    """Whether no stream without a fault has this step. With B-frames, pts fall by a few frames."""
    return step == 0 or (step < 0 if ordered else step * track.tick < -track.reorder_s)
