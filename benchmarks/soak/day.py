"""Memory growth of decoding and change tracking over a day of one camera."""

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
    """Decode and track every frame of `hours`, looping over four scenes of one camera.

    Takes `times` samples of the process's memory and its live objects.
    """
    info, packets = _encode_scenes()
    tracker = ChangeTracker(SPECS[0].fit(*SIZE), TrackedPolicy(SPECS[0].fit(*SIZE)), ANCHOR_EVERY)
    decoder = Decoder(info, lambda: tracker.motion_interval_s)
    samples: list[dict[str, Any]] = []
    frames, total = 0, 3600 * hours * FPS
    for packet in _loop(info, packets):
        for frame in decoder.decode(packet):
            tracker.feed(frame)
            frames += 1
        if frames >= total * (len(samples) + 1) / times:
            samples.append({"frames": frames, **_sample()})
        if frames >= total:
            break
    counted = {"slots": tracker.counters.slots, "anomalies": dict(decoder.anomalies)}
    means = growth(samples, ("rss_mib", "objects"))
    return {"hours": hours, "frames": frames, **counted, **means, "samples": samples}


def _encode_scenes() -> tuple[StreamInfo, list[Packet]]:
    """Encode the scenes one after another, as the stream of one camera."""
    stream: list[Packet] = []
    for number, scene in enumerate(SCENES):
        clip = WorldClip(Condition(scene, scene, FPS), "plaza", 777, SECONDS, *SIZE)
        info, packets = clip.encoded()
        stream += [_shifted(packet, info, number * SECONDS) for packet in packets]
    return info, stream


def _loop(info: StreamInfo, packets: list[Packet]) -> Iterator[Packet]:
    """Repeat the packets forever with growing timestamps."""
    start = 0.0
    while True:
        yield from (_shifted(packet, info, start) for packet in packets)
        start += SECONDS * len(SCENES)


def _shifted(packet: Packet, info: StreamInfo, seconds: float) -> Packet:
    ticks = round(seconds / info.time_base)
    pts = None if packet.pts is None else packet.pts + ticks
    dts = None if packet.dts is None else packet.dts + ticks
    return replace(packet, pts=pts, dts=dts, capture_time=packet.capture_time + seconds)


def _sample() -> dict[str, Any]:
    gc.collect()
    resident = psutil.Process().memory_info().rss / 2**20
    return {"rss_mib": round(resident, 2), "objects": len(gc.get_objects())}
