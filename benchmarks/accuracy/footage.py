"""Render and encode each stream once, and let every change policy cut its slots from it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from actors.rpc.convert_uplink import to_request
from benchmarks.accuracy.policies import random_slots, trackers
from benchmarks.accuracy.streams import RATE, REENCODED_SIZE, Stream
from codecsight.change.tracker import ChangeTracker
from codecsight.core.frame import Frame
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.question import Question
from codecsight.core.slot import Slot
from codecsight.patches.codec import PatchCodec
from codecsight.patches.packing import pack, unpack
from codecsight.video.capture.source import SourceOptions
from codecsight.video.codec.decoder import decode_stream
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.codec.resizer import Resizer
from codecsight.world import GroundTruth, Scene, ground_truth
from codecsight.world.labels.ground_truth import CLEARLY_VISIBLE
from codecsight.world.labels.questions import label_window, topic_question
from codecsight.world.source import WorldSource

Items = list[StreamInfo | Packet]
DESCRIBE = topic_question("describe")
_SLOW, _MOVING = 0.005, 0.035  # frame widths per second, as in the world's questions


@dataclass(frozen=True, slots=True)
class Window:
    """A window at the end of a stride, with its ground truth.

    `index`: that of its newest slot. `answers`: true answers to the fair questions, those on which
    people would agree. `content`: "moving", "slow", "standing" or "empty". `described`: the scene
    in a sentence, or None if it is ambiguous.
    """

    index: int
    answers: dict[Question, str]
    content: str
    described: str | None = None


@dataclass(frozen=True, slots=True)
class Footage:
    """A stream's slots under each change policy, as they arrive in the cloud, and its windows.

    Slot i covers the same frames under every policy. `questions`: all questions that are fair in
    some window, with their topics. `uplink`: bytes on the wire of each policy's slots.
    """

    stream: Stream
    grid: PatchGrid
    slots: dict[str, list[Slot]]
    windows: list[Window]
    questions: dict[Question, str]
    uplink: dict[str, int]

    @property
    def url(self) -> str:
        """URL of the stream."""
        return self.stream.url


def render_footage(stream: Stream, spec: GridSpec) -> Footage:
    """Render a stream and cut its slots under every policy."""
    setting = stream.setting
    items: Items = list(WorldSource(stream.camera, SourceOptions()).items())
    width, height = stream.camera.width, stream.camera.height
    if setting.reencoded:
        width, height = REENCODED_SIZE
        items = list(reencoded(decode_stream(items), setting.stride * spec.frames))
    grid = spec.fit(width, height)
    slots = _slots(items, trackers(grid, setting, plain=stream.plain))
    raw = slots["everything"]
    slots["random"] = random_slots(raw, slots["tracked"], grid, stream.seed)
    windows, questions = _windows(stream, raw)
    sent = {name: _sent(each, spec) for name, each in slots.items()}
    received = {name: decoded for name, (decoded, _) in sent.items()}
    uplink = {name: size for name, (_, size) in sent.items()}
    slots = {**received, "everything-raw": raw}
    return Footage(stream, grid, slots, windows, questions, uplink)


def _slots(items: Items, policy_trackers: dict[str, ChangeTracker]) -> dict[str, list[Slot]]:
    """Return the slots of every tracker.

    Trackers that read motion vectors of every frame share one decoding. A tracker that reads them
    less often (`motion_interval_s`) gets a decoding of its own, as in production.
    """
    slots: dict[str, list[Slot]] = {name: [] for name in policy_trackers}
    own_decoding = [name for name, tracker in policy_trackers.items() if tracker.motion_interval_s]
    for names in (
        [name for name in policy_trackers if name not in own_decoding],
        *([n] for n in own_decoding),
    ):
        for frame in _decoded(items, policy_trackers[names[0]]):
            for name in names:
                slot = policy_trackers[name].feed(frame)
                if slot is not None:
                    slots[name].append(slot)
    return slots


def _decoded(items: Items, tracker: ChangeTracker) -> Iterator[Frame]:
    return decode_stream(items, lambda: tracker.motion_interval_s)


def reencoded(frames: Iterable[Frame], gop: int) -> Iterator[StreamInfo | Packet]:
    """Scale down and re-encode with another GOP, as an offline pipeline prepares a video."""
    encoder = CameraEncoder(*REENCODED_SIZE, RATE, EncoderProfile(gop=gop, preset="medium"))
    resizer = Resizer(*REENCODED_SIZE)
    yield encoder.info
    for frame in frames:
        yield from encoder.encode(resizer.rgb(frame), frame.time, frame.capture_time)
    yield from encoder.flush()


def _sent(slots: list[Slot], spec: GridSpec) -> tuple[list[Slot], int]:
    """Return the slots after encoding and decoding for the wire, and the size of their messages."""
    codec = PatchCodec()
    chunks = [pack(slot, spec, "site.camera", codec) for slot in slots]
    size = sum(to_request(chunk).ByteSize() for chunk in chunks)
    return [unpack(chunk, spec) for chunk in chunks], size


def _windows(stream: Stream, whole: list[Slot]) -> tuple[list[Window], dict[Question, str]]:
    setting, scene = stream.setting, stream.camera.scene
    moments = _moments(stream, whole)
    windows, questions = [], {}
    for end in range(setting.window, len(whole) + 1, setting.stride):
        times = [t for slot in moments[end - setting.window : end] for t in slot]
        truths = [_truth(scene, t) for t in times]
        topics = {each.question: each.topic for each in label_window(truths)}
        answers = {each.question: each.answer for each in label_window(truths)}
        described = answers.pop(DESCRIBE, None)
        questions.update({question: topics[question] for question in answers})
        windows.append(Window(end - 1, answers, _content(truths), described))
    return windows, questions


def _moments(stream: Stream, whole: list[Slot]) -> list[tuple[float, ...]]:
    """Return the times of the ground truth, for each slot.

    These are the sampled times; with `stream.between`, the most eventful frame since the previous
    sample, so that what appears only between two samples counts.
    """
    if not stream.between:
        return [slot.times for slot in whole]
    step, scene, before, moments = 1 / stream.camera.fps, stream.camera.scene, 0.0, []
    for slot in whole:
        best = []
        for t in slot.times:
            since = [s * step for s in range(round(before / step) + 1, round(t / step) + 1)] or [t]
            best.append(max(since, key=lambda s: (_visible_count(_truth(scene, s)), s)))
            before = t
        moments.append(tuple(best))
    return moments


def _visible_count(truth: GroundTruth) -> int:
    return sum(actor.visible_fraction >= CLEARLY_VISIBLE for actor in truth.actors)


def _content(window: list[GroundTruth]) -> str:
    """Classify a window by what its newest frame shows."""
    visible = [actor for actor in window[-1].actors if actor.visible_fraction >= CLEARLY_VISIBLE]
    speeds = [float(np.hypot(*actor.velocity)) for actor in visible]
    if any(speed >= _MOVING for speed in speeds):
        return "moving"
    if any(speed > _SLOW for speed in speeds):
        return "slow"
    return "standing" if visible else "empty"


@lru_cache(maxsize=4096)
def _truth(scene: Scene, t: float) -> GroundTruth:
    return ground_truth(scene, t)
