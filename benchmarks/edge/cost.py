"""CPU time of each stage at the edge, relative to plain decoding in the same run."""

import io
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from PIL import Image

from benchmarks.edge.accuracy import SPECS
from benchmarks.edge.world_clips import Condition, WorldClip
from codecsight.change.policies import TrackedPolicy
from codecsight.change.sampler import FrameSampler
from codecsight.change.tracker import ChangeTracker
from codecsight.core.grid import PatchGrid
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.slot import ANCHOR_EVERY, Slot
from codecsight.patches.codec import PatchCodec
from codecsight.patches.cut import cut
from codecsight.patches.packing import pack
from codecsight.video.codec.decoder import Decoder
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.codec.resizer import Resizer
from codecsight.video.recording.mux_stream import add_stream

SPEC = SPECS[0]
ROUNDS = 5
SEED = 777
STAGES = ("demux", "decode", "signals", "tracker", "scale", "patches", "coding")
REAL = "vtest_h264_10fps_gop50.mp4"
ADDED = ("signals", "tracker")
Given = TypeVar("Given")
Returned = TypeVar("Returned")
Spent = dict[str, float]
Stream = tuple[StreamInfo, list[Packet]]


@dataclass(frozen=True)
class Clip:
    """A stream as a camera sends it: `bitrate` in bits per second, a key frame every two seconds.
    The scene is a condition of the world, or `vtest`: real footage, scaled up. The first GOP is a
    warm-up and does not count.
    """

    name: str
    scene: str
    bitrate: int
    width: int = 1920
    height: int = 1080
    fps: float = 30.0
    seconds: float = 10.0

    @property
    def profile(self) -> EncoderProfile:
        """The camera's encoder settings."""
        return EncoderProfile(gop=self.gop, bitrate=self.bitrate)

    @property
    def gop(self) -> int:
        """Frames from key frame to key frame."""
        return round(2 * self.fps)


CLIPS = (
    Clip("calm", "calm", 2_000_000),
    Clip("day", "calm", 4_000_000),
    Clip("night", "night", 6_000_000),
    Clip("crowd", "crowd", 6_000_000),
    Clip("real (vtest)", "vtest", 4_000_000),
    Clip("pan", "pan", 4_000_000),
    Clip("day", "calm", 1_500_000, 1280, 720, 15.0, 10.0),
    Clip("day", "calm", 400_000, 640, 360, 10.0, 12.0),
)


def rows(quick: bool, clips: Path) -> list[dict[str, Any]]:
    """Milliseconds per decoded frame of every stage, for clips whose footage exists."""
    if quick:
        return _stages(replace(CLIPS[-1], seconds=4.0), clips, rounds=2)
    available = [each for each in CLIPS if each.scene != "vtest" or (clips / REAL).exists()]
    return [row for each in available for row in _stages(each, clips, ROUNDS)]


def _encoded(clip: Clip, clips: Path) -> Stream:
    if clip.scene == "vtest":
        return _scaled_up(clip, clips / REAL)
    condition = Condition(clip.name, clip.scene, clip.fps, clip.profile)
    world_clip = WorldClip(condition, "plaza", SEED, clip.seconds, clip.width, clip.height)
    return world_clip.encoded()


def _scaled_up(clip: Clip, path: Path) -> Stream:
    """Real footage, cropped to the aspect ratio and scaled up, with some sensor noise, at a higher
    frame rate than it was taken.
    """
    encoder = CameraEncoder(clip.width, clip.height, clip.fps, clip.profile)
    rng, packets = np.random.default_rng(0), list[Packet]()
    with av.open(str(path)) as container:
        for number, frame in zip(
            range(round(clip.seconds * clip.fps)), container.decode(video=0), strict=False
        ):
            cropped = frame.width * clip.height // clip.width
            top = (frame.height - cropped) // 2
            picture = Image.fromarray(frame.to_ndarray(format="rgb24")[top : top + cropped])
            large = picture.resize((clip.width, clip.height), Image.Resampling.LANCZOS)
            noise = rng.standard_normal((clip.height, clip.width, 1), np.float32) * 1.5
            noisy = np.clip(np.rint(np.asarray(large) + noise), 0, 255).astype(np.uint8)
            packets += encoder.encode(noisy, number / clip.fps, 0.0)
    return encoder.info, packets + encoder.flush()


def _stages(clip: Clip, clips: Path, rounds: int) -> list[dict[str, Any]]:
    """Medians over several rounds; "added" is what change detection adds to decoding."""
    info, packets = _encoded(clip, clips)
    recording, grid = _recorded(info, packets), SPEC.fit(clip.width, clip.height)
    _round(info, packets[:80], recording, grid, 0)  # compiles the numba kernels
    spent = [_round(info, packets, recording, grid, clip.gop) for _ in range(rounds)]
    frames = len(packets) - clip.gop
    mbits = 8 * sum(len(packet.data) for packet in packets) / clip.seconds / 1e6
    name = f"{clip.name} {clip.width}x{clip.height}@{clip.fps:g}, {mbits:.1f} Mbit/s"
    results: list[dict[str, Any]] = []
    for stage, parts in [*((each, (each,)) for each in STAGES), ("added", ADDED), ("all", STAGES)]:
        seconds = [sum(each[part] for part in parts) for each in spent]
        ms = median(1000 * each / frames for each in seconds)
        ratio = median(s / each["decode"] for s, each in zip(seconds, spent, strict=True))
        results.append(_row(name, stage, ms, ratio))
    per_core = 1000 / (ms * clip.fps)
    return [*results[:-1], {**results[-1], "streams_per_core": round(per_core, 1)}]


def _row(clip: str, stage: str, ms: float, ratio: float) -> dict[str, Any]:
    return {
        "clip": clip,
        "stage": stage,
        "ms_per_frame": round(ms, 4),
        "ratio_to_decode": round(ratio, 4),
    }


def _round(
    info: StreamInfo, packets: list[Packet], recording: bytes, grid: PatchGrid, begin: int
) -> Spent:
    """Seconds of CPU time of each stage, from packet `begin` on.

    Every packet goes through a plain decoder and through ours, in alternating order, so that both
    find the caches in the same state. The time of signals and tracker is what they add to plain
    decoding and to scaling.
    """
    spent: Spent = defaultdict(float)
    tracker = ChangeTracker(grid, TrackedPolicy(grid), ANCHOR_EVERY)
    plain, decoder = _PlainDecoder(info), Decoder(info, lambda: tracker.motion_interval_s)
    sampler, resizer = FrameSampler(SPEC.rate), Resizer(grid.width, grid.height)
    for number, packet in enumerate(packets):
        if number == begin:
            spent.clear()
        if number % 2:
            _timed(spent, "decode", plain.decode, packet)
        frames = _timed(spent, "signals", decoder.decode, packet)
        if not number % 2:
            _timed(spent, "decode", plain.decode, packet)
        for frame in frames:
            if sampler.should_sample(frame.time):
                _timed(spent, "scale", resizer.rgb, frame)
            slot = _timed(spent, "tracker", tracker.feed, frame)
            if slot is not None:
                _ship(slot, tracker, spent)
    spent["demux"] = _demux(recording) * (len(packets) - begin) / len(packets)
    spent["signals"] = max(spent["signals"] - spent["decode"], 0.0)
    spent["tracker"] = max(spent["tracker"] - spent["scale"] - spent["patches"], 0.0)
    return dict(spent)


def _timed(
    spent: Spent, stage: str, function: Callable[[Given], Returned], argument: Given
) -> Returned:
    start = time.thread_time()
    result = function(argument)
    spent[stage] += time.thread_time() - start
    return result


def _ship(slot: Slot, tracker: ChangeTracker, spent: Spent) -> None:
    assert tracker.last_shipped is not None
    start = time.thread_time()
    cut(tracker.last_shipped, slot.kept)
    after_cut = time.thread_time()
    pack(slot, SPEC, "bench", PatchCodec())
    spent["patches"] += after_cut - start
    spent["coding"] += time.thread_time() - after_cut


class _PlainDecoder:
    """Decoding without motion vectors, on one thread."""

    def __init__(self, info: StreamInfo) -> None:
        context = av.CodecContext.create(info.codec, "r")
        assert isinstance(context, VideoCodecContext)
        context.extradata, context.thread_count = info.extradata, 1
        self._context = context

    def decode(self, packet: Packet) -> list[av.VideoFrame]:
        """The frames that a packet completes."""
        copy = av.Packet(len(packet.data))
        copy.update(packet.data)
        copy.pts, copy.dts = packet.pts, packet.dts
        return self._context.decode(copy)


def _demux(recording: bytes) -> float:
    start = time.thread_time()
    with av.open(io.BytesIO(recording), "r", format="matroska") as container:
        for packet in container.demux(video=0):
            bytes(packet)
    return time.thread_time() - start


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
