"""A stream is rendered and encoded once; every policy cuts its slots from that."""

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
_SLOW, _MOVING = 0.005, 0.035  # picture widths per second, as in the world's questions


@dataclass(frozen=True, slots=True)
class Window:
    """One that ends a stride: the `index` of its newest slot, `answers` that are true by question
    (those that can fairly be asked), and what there is to be seen: "moving", "standing", "empty".
    `described` is the scene in a sentence, None where there is doubt.
    """

    index: int
    answers: dict[Question, str]
    content: str
    described: str | None = None


@dataclass(frozen=True, slots=True)
class Footage:
    """A stream's slots under each policy as they arrive in the cloud (slot i shows the same moment
    under all), its windows, and its `questions` with their topics: all that can fairly be asked of
    any of its windows. `uplink` is what a policy's slots weigh on the wire, in bytes.
    """

    stream: Stream
    grid: PatchGrid
    slots: dict[str, list[Slot]]
    windows: list[Window]
    questions: dict[Question, str]
    uplink: dict[str, int]


def render_footage(stream: Stream, spec: GridSpec) -> Footage:
    """Watch a stream with every policy at once."""
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
    arrived = {name: there for name, (there, _) in sent.items()}
    uplink = {name: size for name, (_, size) in sent.items()}
    slots = {**arrived, "everything-raw": raw}
    return Footage(stream, grid, slots, windows, questions, uplink)


def _slots(items: Items, watching: dict[str, ChangeTracker]) -> dict[str, list[Slot]]:
    """What every tracker makes of a stream. All look at the same frames, but those that read less
    of the codec than all have it decoded as they would.
    """
    slots: dict[str, list[Slot]] = {name: [] for name in watching}
    thrifty = [name for name, tracker in watching.items() if tracker.motion_interval_s]
    for names in ([name for name in watching if name not in thrifty], *([n] for n in thrifty)):
        for frame in _decoded(items, watching[names[0]]):
            for name in names:
                slot = watching[name].feed(frame)
                if slot is not None:
                    slots[name].append(slot)
    return slots


def _decoded(items: Items, tracker: ChangeTracker) -> Iterator[Frame]:
    return decode_stream(items, lambda: tracker.motion_interval_s)


def reencoded(frames: Iterable[Frame], gop: int) -> Iterator[StreamInfo | Packet]:
    """As an offline pipeline prepares a video: scaled down and encoded anew, with its own GOP."""
    encoder = CameraEncoder(*REENCODED_SIZE, RATE, EncoderProfile(gop=gop, preset="medium"))
    resizer = Resizer(*REENCODED_SIZE)
    yield encoder.info
    for frame in frames:
        yield from encoder.encode(resizer.rgb(frame), frame.time, frame.capture_time)
    yield from encoder.flush()


def _sent(slots: list[Slot], spec: GridSpec) -> tuple[list[Slot], int]:
    """These slots as they arrive in the cloud, coded as they really are, and their bytes as
    messages.
    """
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
        seen = [_truth(scene, t) for t in times]
        topics = {each.question: each.topic for each in label_window(seen)}
        answers = {each.question: each.answer for each in label_window(seen)}
        described = answers.pop(DESCRIBE, None)
        questions.update({question: topics[question] for question in answers})
        windows.append(Window(end - 1, answers, _content(seen), described))
    return windows, questions


def _moments(stream: Stream, whole: list[Slot]) -> list[tuple[float, ...]]:
    """What truth is taken at, slot by slot: the sampled moments, or where what comes and goes
    between them counts, the most eventful picture since the sample before.
    """
    if not stream.between:
        return [slot.times for slot in whole]
    step, scene, before, moments = 1 / stream.camera.fps, stream.camera.scene, 0.0, []
    for slot in whole:
        best = []
        for t in slot.times:
            since = [s * step for s in range(round(before / step) + 1, round(t / step) + 1)] or [t]
            best.append(max(since, key=lambda s: (_shown(_truth(scene, s)), s)))
            before = t
        moments.append(tuple(best))
    return moments


def _shown(seen: GroundTruth) -> int:
    return sum(actor.visible_fraction >= CLEARLY_VISIBLE for actor in seen.actors)


def _content(window: list[GroundTruth]) -> str:
    """What the newest slot's two moments show."""
    there = [actor for actor in window[-1].actors if actor.visible_fraction >= CLEARLY_VISIBLE]
    speeds = [float(np.hypot(*actor.velocity)) for actor in there]
    if any(speed >= _MOVING for speed in speeds):
        return "moving"
    if any(speed > _SLOW for speed in speeds):
        return "slow"
    return "standing" if there else "empty"


@lru_cache(maxsize=4096)
def _truth(scene: Scene, t: float) -> GroundTruth:
    return ground_truth(scene, t)
