"""Overload: twice the streams that fit, and one stream that floods.

Admitted streams should keep their latency. Time is simulated from the process's CPU time, as in
`benchmarks.density.measure`: each stream sends a slot per second while the engine computes, and
time jumps ahead where it idles. The rules are those of the GPU worker: admission by `Utilization`,
a `TokenBucket` per stream, and a stream whose slot was refused skips to its next anchor.
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np

from benchmarks.density.traces import SlotTrace, make_traces
from codecsight.core.question import Question
from codecsight.core.slot import ANCHOR_EVERY, SlotKind
from codecsight.engine import DeviceBusy, Engine, EngineConfig, SlotRefused
from codecsight.engine.profile_run import seconds_per_slot
from codecsight.engine.resources.utilization import HORIZON_S, Utilization
from codecsight.models.base import VisionLanguageModel
from codecsight.uplink.token_bucket import RATE_TOLERANCE, TokenBucket

QUESTION = Question.parse("How many people are there?")
BLOCKS_PER_STREAM = 64
ARRIVAL_INTERVAL_S = 0.25
"""Seconds between the starts of two cameras."""


@dataclass
class Camera:
    """A stream that sends one slot every `slot_interval_s`, from `start` on.

    A camera that `floods` sends its next slot as soon as its `bucket` allows. While `needs_anchor`,
    it skips deltas, as an edge does after a refused slot.
    """

    name: str
    trace: SlotTrace
    start: float
    slot_interval_s: float = 1.0
    floods: bool = False
    bucket: TokenBucket | None = None
    sent: int = 0
    needs_anchor: bool = False

    @property
    def slots(self) -> int:
        """Slots of the trace, in whole anchor intervals."""
        return len(self.trace.slots["tracked"]) // ANCHOR_EVERY * ANCHOR_EVERY


@dataclass
class Fleet:
    """Cameras on one engine.

    `waits`: (stream, arrival of the slot, seconds until its answer). `counts`: number of other
    outcomes. `clock` returns the seconds spent computing so far.
    """

    engine: Engine
    admission: Utilization | None
    clock: Callable[[], float] = time.process_time
    waits: list[tuple[str, float, float]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    now: float = 0.0
    _arrivals: dict[int, tuple[str, float]] = field(default_factory=dict)

    def run(self, cameras: list[Camera], seconds: float) -> None:
        """Simulate until `seconds` of stream time."""
        number = count()
        events = [(camera.start, next(number), camera) for camera in cameras]
        heapq.heapify(events)
        while self.now < seconds:
            if not self.engine.busy:
                self.now = max(self.now, events[0][0])
            started = self.clock()
            while events and events[0][0] <= self.now:
                due, _, camera = heapq.heappop(events)
                if self._send_slot(camera, due):
                    heapq.heappush(events, (self._next(camera, due), next(number), camera))
            results = self.engine.step() if self.engine.busy else []
            spent = self.clock() - started
            if self.admission is not None:
                self.admission.record_busy(self.now, self.now + spent)
            self.now += spent
            for result in results:
                name, arrival = self._arrivals.pop(result.ticket)
                if result.answers:
                    self.waits.append((name, arrival, self.now - arrival))

    def _next(self, camera: Camera, due: float) -> float:
        """Return the time of the camera's next slot."""
        if not camera.floods:
            return due + camera.slot_interval_s
        return self.now + (camera.bucket.reserve(self.now) if camera.bucket else 0.005)

    def _send_slot(self, camera: Camera, due: float) -> bool:
        """Send the camera's next slot; returns False if the stream was rejected."""
        if not camera.sent and not self._admit(camera):
            return False
        round_, position = divmod(camera.sent, camera.slots)
        slot = camera.trace.slots["tracked"][position]
        camera.sent += 1
        if camera.needs_anchor and slot.kind is not SlotKind.ANCHOR:
            self.counts["slots skipped until anchor"] += 1
            return True
        times = tuple(time + round_ * camera.slots for time in slot.times)
        try:
            ticket = self.engine.submit(camera.name, replace(slot, times=times), [QUESTION])
        except SlotRefused:
            self.counts["slots refused"] += 1
            camera.needs_anchor = True
            return True
        self.counts["slots"] += 1
        camera.needs_anchor = False
        self._arrivals[ticket] = (camera.name, due)
        return True

    def _admit(self, camera: Camera) -> bool:
        try:
            if self.admission is not None:
                self.admission.admit(camera.name, self.now)
        except DeviceBusy:
            self.counts["streams rejected"] += 1
            return False
        self.engine.open(camera.name, camera.trace.grid)
        self.counts["streams admitted"] += 1
        return True


def overload(
    model: VisionLanguageModel, config: EngineConfig, seconds: float = 30.0
) -> dict[str, Any]:
    """Measure latency under overload, with and without admission control.

    Twice the streams that fit arrive one by one, or all within a second. For comparison: the
    admitted number of streams alone, and twice the streams without admission control. Then a
    quarter of the streams that fit, one of which misbehaves.
    """
    traces = make_traces(model.grid_spec(2.0, 48), 3, 26, ("tracked",))
    config = replace(config, max_waiting=1)  # the GPU worker takes a stream's chunks one by one
    slot_s = seconds_per_slot(model, config, traces[0].grid, [QUESTION], time.process_time)

    def admission() -> Utilization:
        return Utilization(0.9, slot_s, slot_interval_s=1.0)

    def row(streams: int, control: Utilization | None = None, **options: Any) -> dict[str, Any]:
        return _row(_simulate(model, config, traces, streams, control, seconds, **options), seconds)

    fit = _fitting(model, config, traces, admission())
    few = max(fit // 4, 2)
    admitted = row(2 * fit, admission())
    return {
        "seconds": seconds,
        "profiled ms per slot": round(slot_s * 1e3, 1),
        "double load": admitted,
        "double load within a second": row(2 * fit, admission(), interval_s=0.5 / fit),
        "admitted streams alone": row(admitted["streams admitted"]),
        "double load, no admission control": row(2 * fit),
        "few streams": row(few),
        "few streams, one stalls": row(few, stalls=True),
        "few streams, one floods, rate-limited": row(few, floods=True, rate_limited=True),
        "few streams, one floods": row(few, floods=True),
    }


def _fitting(
    model: VisionLanguageModel,
    config: EngineConfig,
    traces: list[SlotTrace],
    admission: Utilization,
) -> int:
    """Number of streams admitted when they arrive one after another."""
    fleet = _fleet(model, config, 200, admission)
    fleet.run(_cameras(traces, 200, ARRIVAL_INTERVAL_S), 50.0)
    return fleet.counts["streams admitted"]


def _simulate(
    model: VisionLanguageModel,
    config: EngineConfig,
    traces: list[SlotTrace],
    streams: int,
    admission: Utilization | None,
    seconds: float,
    *,
    interval_s: float = ARRIVAL_INTERVAL_S,
    stalls: bool = False,
    floods: bool = False,
    rate_limited: bool = False,
) -> Fleet:
    fleet = _fleet(model, config, streams, admission)
    cameras = _cameras(traces, streams, interval_s)
    last = cameras[-1]
    last.floods, last.bucket = floods, TokenBucket(RATE_TOLERANCE) if rate_limited else None
    if stalls:
        last.slot_interval_s = float("inf")
    fleet.run(cameras, streams * interval_s + HORIZON_S + seconds)
    return fleet


def _fleet(
    model: VisionLanguageModel, config: EngineConfig, streams: int, admission: Utilization | None
) -> Fleet:
    engine = Engine(model, replace(config, kv_blocks=BLOCKS_PER_STREAM * streams))
    return Fleet(engine, admission)


def _cameras(traces: list[SlotTrace], streams: int, interval_s: float) -> list[Camera]:
    return [Camera(str(n), traces[n % len(traces)], n * interval_s) for n in range(streams)]


def _row(fleet: Fleet, seconds: float) -> dict[str, Any]:
    """Latency over the last `seconds`, without the last stream, which is the misbehaving one."""
    names = sorted({name for name, _, _ in fleet.waits}, key=int)
    waits = [
        wait * 1e3
        for name, arrival, wait in fleet.waits
        if arrival > fleet.now - seconds and name != names[-1]
    ]
    return {
        **fleet.counts,
        "answers": len(waits),
        "ttft_mean_ms": round(float(np.mean(waits)), 1),
        "ttft_p99_ms": round(float(np.percentile(waits, 99)), 1),
    }
