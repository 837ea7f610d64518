"""What each stage costs at the edge, in processor time, against plain decoding in the same run."""

import io
import time
from collections import defaultdict
from collections.abc import Iterable
from fractions import Fraction
from statistics import median
from typing import Any

import av
from av.video.codeccontext import VideoCodecContext

from benchmarks.edge.accuracy import ANCHOR_EVERY, SPECS
from benchmarks.edge.films import CONDITIONS, FIRST_TEST_SEED, Condition, Film
from codecsight.change.grid import PatchGrid
from codecsight.change.policies import TrackedPolicy
from codecsight.change.sampler import FrameSampler
from codecsight.change.slot import Slot
from codecsight.change.tracker import ChangeTracker
from codecsight.patches.chunk import pack
from codecsight.patches.codec import PatchCodec
from codecsight.patches.cut import cut
from codecsight.video.decoder import Decoder
from codecsight.video.packet import Packet, StreamInfo
from codecsight.video.picture import Resizer
from codecsight.video.template import add_stream

SPEC = SPECS[0]
ROUNDS = 5
STAGES = ("demux", "decode", "signals", "tracker", "scale", "patches", "coding")
STREAMS = (  # scene, width, height, frames per second, seconds
    ("calm", 1920, 1080, 30.0, 4.0),
    ("pan", 1920, 1080, 30.0, 4.0),
    ("calm", 1280, 720, 15.0, 6.0),
    ("calm", 640, 360, 10.0, 12.0),
)
Spent = dict[str, float]


def rows(quick: bool) -> list[dict[str, Any]]:
    """Milliseconds per decoded frame of every stage: the median of interleaved rounds."""
    results: list[dict[str, Any]] = []
    streams = ((*STREAMS[-1][:4], 4.0),) if quick else STREAMS
    for scene, width, height, fps, seconds in streams:
        condition = next(each for each in CONDITIONS if each.name == scene)
        condition = Condition(scene, scene, fps, condition.profile)
        film = Film(condition, "plaza", FIRST_TEST_SEED, seconds, width, height)
        results += _stages(film, rounds=2 if quick else ROUNDS)
    return results


def _stages(film: Film, rounds: int) -> list[dict[str, Any]]:
    info, packets = film.encoded()
    recording, grid = _recorded(info, packets), SPEC.fit(film.width, film.height)
    spent = [_round(info, packets, recording, grid) for _ in range(rounds)]
    name = f"{film.condition.name} {film.width}x{film.height}@{film.condition.fps:g}"
    results: list[dict[str, Any]] = []
    for stage in STAGES:
        ms = median(1000 * each[stage] / film.frames for each in spent)
        ratio = median(each[stage] / each["decode"] for each in spent)
        results.append(_row(name, stage, ms, ratio))
    ms = median(1000 * sum(each.values()) / film.frames for each in spent)
    ratio = median(sum(each.values()) / each["decode"] for each in spent)
    per_core = 1000 / (ms * film.condition.fps)
    return [*results, {**_row(name, "all", ms, ratio), "streams_per_core": round(per_core, 1)}]


def _row(clip: str, stage: str, ms: float, ratio: float) -> dict[str, Any]:
    return {
        "clip": clip,
        "stage": stage,
        "ms_per_frame": round(ms, 4),
        "ratio_to_decode": round(ratio, 4),
    }


def _round(info: StreamInfo, packets: list[Packet], recording: bytes, grid: PatchGrid) -> Spent:
    """Seconds of processor time of each stage. What signals and tracker take is what they add to
    plain decoding and to scaling.
    """
    spent: Spent = defaultdict(float)
    spent["demux"] = _demux(recording)
    spent["decode"] = _plain(info, packets)
    watched = _watch(info, packets, grid, spent)
    spent["signals"] = max(watched - spent["decode"], 0.0)
    spent["tracker"] = max(spent["tracker"] - spent["scale"] - spent["patches"], 0.0)
    return dict(spent)


def _watch(info: StreamInfo, packets: list[Packet], grid: PatchGrid, spent: Spent) -> float:
    """Feed a tracker, adding up what it and the stages after it take; returns the decoder's."""
    decoder, decoding = Decoder(info), 0.0
    tracker = ChangeTracker(grid, TrackedPolicy(grid), ANCHOR_EVERY)
    sampler, resizer = FrameSampler(SPEC.rate), Resizer(grid.width, grid.height)
    for packet in packets:
        began = time.thread_time()
        frames = decoder.decode(packet)
        decoding += time.thread_time() - began
        for frame in frames:
            if sampler.wants(frame.time):
                began = time.thread_time()
                resizer.rgb(frame)
                spent["scale"] += time.thread_time() - began
            began = time.thread_time()
            slot = tracker.feed(frame)
            spent["tracker"] += time.thread_time() - began
            if slot is not None:
                _ship(slot, tracker, spent)
    return decoding


def _ship(slot: Slot, tracker: ChangeTracker, spent: Spent) -> None:
    assert tracker.last_shipped is not None
    began = time.thread_time()
    cut(tracker.last_shipped, slot.kept)
    between = time.thread_time()
    pack(slot, SPEC, "bench", PatchCodec())
    spent["patches"] += between - began
    spent["coding"] += time.thread_time() - between


def _plain(info: StreamInfo, packets: Iterable[Packet]) -> float:
    """Decoding and nothing else."""
    context = av.CodecContext.create(info.codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata, context.thread_count = info.extradata, 1
    began = time.thread_time()
    for packet in packets:
        copy = av.Packet(len(packet.data))
        copy.update(packet.data)
        copy.pts, copy.dts = packet.pts, packet.dts
        context.decode(copy)
    context.decode(None)
    return time.thread_time() - began


def _demux(recording: bytes) -> float:
    began = time.thread_time()
    with av.open(io.BytesIO(recording), "r", format="matroska") as container:
        for packet in container.demux(video=0):
            bytes(packet)
    return time.thread_time() - began


def _recorded(info: StreamInfo, packets: Iterable[Packet]) -> bytes:
    """The stream as a Matroska file."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = add_stream(container, info)
        for packet in packets:
            copy = av.Packet(packet.data)
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, Fraction(packet.time_base)
            copy.is_keyframe, copy.stream = packet.keyframe, stream
            container.mux(copy)
    return file.getvalue()
