"""Twice the streams that fit, and one that floods: who was let in keeps its latency.

The clock is this process's CPU time, as in `benchmarks.density.run`: slots arrive once a second per
stream while the engine works, and time jumps ahead where it idles. The rules are those of the
GPU worker: `Utilization` at the door, `TokenBucket` per stream, and a stream whose slot is refused
waits for its next anchor, as an edge does.
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
from codecsight.engine.resources.profile_run import seconds_per_slot
from codecsight.engine.resources.utilization import HORIZON_S, Utilization
from codecsight.models.base import VisionLanguageModel
from codecsight.uplink.token_bucket import TokenBucket

QUESTION = Question.parse("How many people are there?")
BLOCKS_PER_STREAM = 64
HASTE = 1.1  # as the GPU worker's
APART = 0.25
"""Seconds after which the next camera comes."""


@dataclass
class Camera:
    """A stream: one slot each `every` seconds, from `start` on. One that `floods` sends its next
    slot as soon as `pace` lets the last one through.
    """

    name: str
    film: SlotTrace
    start: float
    every: float = 1.0
    floods: bool = False
    pace: TokenBucket | None = None
    sent: int = 0
    blind: bool = False

    @property
    def slots(self) -> int:
        """Of its film, in whole rounds of anchors."""
        return len(self.film.slots["tracked"]) // ANCHOR_EVERY * ANCHOR_EVERY


@dataclass
class Fleet:
    """Cameras on one engine; `waits` are the times from a slot's arrival to its answer, by stream
    and moment, `told` what else happened. `clock` tells the seconds spent at work so far.
    """

    engine: Engine
    load: Utilization | None
    clock: Callable[[], float] = time.process_time
    waits: list[tuple[str, float, float]] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    now: float = 0.0
    _came: dict[int, tuple[str, float]] = field(default_factory=dict)

    def run(self, cameras: list[Camera], seconds: float) -> None:
        """Let time pass."""
        number = count()
        events = [(camera.start, next(number), camera) for camera in cameras]
        heapq.heapify(events)
        while self.now < seconds:
            if not self.engine.busy:
                self.now = max(self.now, events[0][0])
            started = self.clock()
            while events and events[0][0] <= self.now:
                due, _, camera = heapq.heappop(events)
                if self._arrives(camera, due):
                    heapq.heappush(events, (self._next(camera, due), next(number), camera))
            results = self.engine.step() if self.engine.busy else []
            spent = self.clock() - started
            if self.load is not None:
                self.load.record_busy(self.now, self.now + spent)
            self.now += spent
            for result in results:
                name, came = self._came.pop(result.ticket)
                if result.answers:
                    self.waits.append((name, came, self.now - came))

    def _next(self, camera: Camera, due: float) -> float:
        if not camera.floods:
            return due + camera.every
        return self.now + (camera.pace.reserve(self.now) if camera.pace else 0.005)

    def _arrives(self, camera: Camera, due: float) -> bool:
        """Whether it goes on."""
        if not camera.sent and not self._let_in(camera):
            return False
        round_, place = divmod(camera.sent, camera.slots)
        slot = camera.film.slots["tracked"][place]
        camera.sent += 1
        if camera.blind and slot.kind is not SlotKind.ANCHOR:
            self.told["not sent for want of an anchor"] += 1
            return True
        times = tuple(time + round_ * camera.slots for time in slot.times)
        try:
            ticket = self.engine.submit(camera.name, replace(slot, times=times), [QUESTION])
        except SlotRefused:
            self.told["slots refused"] += 1
            camera.blind = True
            return True
        self.told["slots"] += 1
        camera.blind = False
        self._came[ticket] = (camera.name, due)
        return True

    def _let_in(self, camera: Camera) -> bool:
        try:
            if self.load is not None:
                self.load.admit(camera.name, self.now)
        except DeviceBusy:
            self.told["streams turned away"] += 1
            return False
        self.engine.open(camera.name, camera.film.grid)
        self.told["streams let in"] += 1
        return True


def overload(
    model: VisionLanguageModel, config: EngineConfig, seconds: float = 30.0
) -> dict[str, Any]:
    """As many streams as the door lets in when twice as many come, one by one or all in a second;
    the same number when nobody else comes; all of them without a door. Then one that misbehaves
    among a quarter of them.
    """
    films = make_traces(model.grid_spec(2.0, 48), 3, 26, ("tracked",))
    config = replace(config, max_waiting=1)  # the worker takes a stream's chunks one by one
    prior = seconds_per_slot(model, config, films[0].grid, [QUESTION], time.process_time)

    def door() -> Utilization:
        return Utilization(0.9, prior, slot_interval_s=1.0)

    fit = _fitting(model, config, films, door())
    quiet = max(fit // 4, 2)

    def told(streams: int, load: Utilization | None = None, **how: Any) -> dict[str, Any]:
        return _told(_watch(model, config, films, streams, load, seconds, **how), seconds)

    crowd = told(2 * fit, door())
    return {
        "seconds": seconds,
        "tried out, ms per slot": round(prior * 1e3, 1),
        "twice, with a door": crowd,
        "twice within a second, with a door": told(2 * fit, door(), apart=0.5 / fit),
        "as many as were let in": told(crowd["streams let in"]),
        "twice, no door": told(2 * fit),
        "one behaves": told(quiet),
        "one stalls": told(quiet, stalls=True),
        "one floods, paced": told(quiet, floods=True, paced=True),
        "one floods, not paced": told(quiet, floods=True),
    }


def _fitting(
    model: VisionLanguageModel, config: EngineConfig, films: list[SlotTrace], door: Utilization
) -> int:
    """Streams that the door lets in when they come one after the other."""
    fleet = _fleet(model, config, 200, door)
    fleet.run(_cameras(films, 200, APART), 50.0)
    return fleet.told["streams let in"]


def _watch(
    model: VisionLanguageModel,
    config: EngineConfig,
    films: list[SlotTrace],
    streams: int,
    load: Utilization | None,
    seconds: float,
    *,
    apart: float = APART,
    stalls: bool = False,
    floods: bool = False,
    paced: bool = False,
) -> Fleet:
    fleet = _fleet(model, config, streams, load)
    cameras = _cameras(films, streams, apart)
    last = cameras[-1]
    last.floods, last.pace = floods, TokenBucket(HASTE) if paced else None
    if stalls:
        last.every = float("inf")
    fleet.run(cameras, streams * apart + HORIZON_S + seconds)
    return fleet


def _fleet(
    model: VisionLanguageModel, config: EngineConfig, streams: int, load: Utilization | None
) -> Fleet:
    engine = Engine(model, replace(config, kv_blocks=BLOCKS_PER_STREAM * streams))
    return Fleet(engine, load)


def _cameras(films: list[SlotTrace], count_: int, apart: float) -> list[Camera]:
    return [Camera(str(n), films[n % len(films)], n * apart) for n in range(count_)]


def _told(fleet: Fleet, seconds: float) -> dict[str, Any]:
    """Of the last `seconds`, and of all streams but the last, which is the one that misbehaves."""
    names = sorted({name for name, _, _ in fleet.waits}, key=int)
    waits = [
        wait * 1e3
        for name, came, wait in fleet.waits
        if came > fleet.now - seconds and name != names[-1]
    ]
    return {
        **fleet.told,
        "answers": len(waits),
        "ttft_mean_ms": round(float(np.mean(waits)), 1),
        "ttft_p99_ms": round(float(np.percentile(waits, 99)), 1),
    }
