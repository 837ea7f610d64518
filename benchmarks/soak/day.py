"""Does anything grow while a camera is watched for a day?"""

import gc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil

from benchmarks.edge.accuracy import SPECS
from benchmarks.edge.world_clips import Condition, WorldClip
from benchmarks.soak.memory import growth
from codecsight.change.policies import TrackedPolicy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import ANCHOR_EVERY
from codecsight.video.codec.decoder import Decoder

SCENES = ("calm", "visitor", "ptz", "night")
FPS, SECONDS, SIZE = 5.0, 30.0, (320, 180)


def day(hours: float, times: int = 48) -> dict[str, Any]:
    """Every frame of so many hours, decoded and tracked: a camera that is still, visited, turned,
    and in the dark, again and again. Samples the process's memory and its live objects `times`.
    """
    info, film = _film()
    tracker = ChangeTracker(SPECS[0].fit(*SIZE), TrackedPolicy(SPECS[0].fit(*SIZE)), ANCHOR_EVERY)
    decoder = Decoder(info, lambda: tracker.motion_interval_s)
    samples: list[dict[str, Any]] = []
    frames, last = 0, 3600 * hours * FPS
    for packet in _over_and_over(info, film):
        for frame in decoder.decode(packet):
            tracker.feed(frame)
            frames += 1
        if frames >= last * (len(samples) + 1) / times:
            samples.append({"frames": frames, **_measured()})
        if frames >= last:
            break
    counted = {"slots": tracker.counters.slots, "anomalies": dict(decoder.anomalies)}
    grown = growth(samples, ("rss_mib", "objects"))
    return {"hours": hours, "frames": frames, **counted, **grown, "samples": samples}


def _film() -> tuple[StreamInfo, list[Packet]]:
    """The scenes one after another, as one camera shows them."""
    film: list[Packet] = []
    for number, scene in enumerate(SCENES):
        shown = WorldClip(Condition(scene, scene, FPS), "plaza", 777, SECONDS, *SIZE)
        info, packets = shown.encoded()
        film += [_later(packet, info, number * SECONDS) for packet in packets]
    return info, film


def _over_and_over(info: StreamInfo, film: list[Packet]) -> Iterator[Packet]:
    """The film from its beginning whenever it has ended, while time goes on."""
    begun = 0.0
    while True:
        yield from (_later(packet, info, begun) for packet in film)
        begun += SECONDS * len(SCENES)


def _later(packet: Packet, info: StreamInfo, seconds: float) -> Packet:
    ticks = round(seconds / info.time_base)
    pts = None if packet.pts is None else packet.pts + ticks
    dts = None if packet.dts is None else packet.dts + ticks
    return replace(packet, pts=pts, dts=dts, capture_time=packet.capture_time + seconds)


def _measured() -> dict[str, Any]:
    gc.collect()
    resident = psutil.Process().memory_info().rss / 2**20
    return {"rss_mib": round(resident, 2), "objects": len(gc.get_objects())}
