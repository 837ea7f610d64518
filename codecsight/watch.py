"""Answers questions about one or a few sources in one process, without Ray and gRPC."""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from codecsight.answers.standing import StandingQuestions
from codecsight.camera import CameraPipeline
from codecsight.change.sampler import SamplingRange
from codecsight.core.answer import Answer
from codecsight.core.errors import CodecSightError
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.question import Question
from codecsight.core.slot import ANCHOR_EVERY, Slot
from codecsight.engine.engine import Engine
from codecsight.video.capture.source import Source

_QUEUE_SLOTS = 4
_POLL_S = 0.2  # longest delay until `close` takes effect


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """Options of all sources.

    `spec` is the grid that the engine's model needs. `policy`, `anchor_every` and
    `sampling_range` are those of CameraPipeline.
    """

    spec: GridSpec
    questions: Sequence[Question]
    policy: str = "tracked"
    anchor_every: int = ANCHOR_EVERY
    sampling_range: SamplingRange | None = None


@dataclass(slots=True)
class WatchedSource:
    """State of one source.

    `error` is the reason it ended early. `dropped` counts slots of a live source that the engine
    was too slow for. `latest_answers` holds each question's newest answer, `partial_answers` the
    text of answers that are being generated. `shape` is that of the newest slot, (rows, cols).
    """

    stream: str
    source: Source
    camera: CameraPipeline
    error: Exception | None = None
    dropped: int = 0
    latest_answers: dict[str, Answer] = field(default_factory=dict)
    partial_answers: dict[str, str] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None


_Item = tuple[WatchedSource, Slot | None]


class Watcher:
    """Reads each source in a thread of its own and runs the engine in the caller's thread.

    Files wait for the engine, so that every run gives the same answers. A live source never
    waits: a slot is dropped and counted if the queue is full, and the next slot is an anchor.
    """

    def __init__(self, engine: Engine, options: WatchOptions) -> None:
        self.watched: list[WatchedSource] = []
        self._engine = engine
        self._options = options
        self._standing = StandingQuestions()
        self._items: queue.Queue[_Item] = queue.Queue(_QUEUE_SLOTS)
        self._closed = threading.Event()

    def add(self, stream: str, source: Source) -> None:
        """Add `source` under the name `stream`; call it before `answers`."""
        options = self._options
        camera = CameraPipeline(
            options.spec, options.policy, options.anchor_every, options.sampling_range
        )
        self.watched.append(WatchedSource(stream, source, camera))
        self._standing.set(stream, self._options.questions)

    def answers(self) -> Iterator[Answer]:
        """Yield answers until all sources have ended or `close` is called. A source that ends
        before its first answer, such as a still picture, gives one about what it sent.

        The error of a failed source is kept in its `error`, and the other sources continue. If
        all sources failed, the error of the first one is raised.
        """
        for watched in self.watched:
            threading.Thread(target=self._read, args=(watched,), daemon=True).start()
        running = len(self.watched)
        while running and not self._closed.is_set():
            try:
                watched, slot = self._items.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            running -= slot is None
            try:
                yield from self._end(watched) if slot is None else self._process(watched, slot)
            except CodecSightError as error:
                watched.error = watched.error or error
                watched.source.close()
        errors = [watched.error for watched in self.watched if watched.error]
        if errors and len(errors) == len(self.watched):
            raise errors[0]

    def close(self) -> None:
        """End `answers` within _POLL_S; any thread or signal handler may call it."""
        self._closed.set()
        for watched in self.watched:
            watched.source.close()

    def _process(self, watched: WatchedSource, slot: Slot) -> Iterator[Answer]:
        stream = watched.stream
        if watched.shape != slot.kept.shape:  # first slot, or the camera's aspect ratio changed
            if watched.shape is not None:
                self._engine.close(stream)
            watched.shape = None
            self._engine.open(stream, PatchGrid(self._options.spec, *slot.kept.shape))
            watched.shape = slot.kept.shape
        result = self._engine.push(stream, slot)
        on_token = watched.partial_answers.__setitem__
        yield from _publish(watched, self._standing.answer(self._engine, result, on_token))

    def _end(self, watched: WatchedSource) -> Iterator[Answer]:
        """Answer about the little that was sent by a source that ended before its first answer.

        Raises CodecSightError if that is nothing.
        """
        if watched.error or watched.latest_answers or self._closed.is_set():
            return
        if watched.shape is None:
            decoded = watched.camera.counters.frames
            raise CodecSightError(
                f"{watched.stream}: it ended before any picture was sampled ({decoded} decoded); "
                "check it with: codecsight doctor"
            )
        questions = self._standing.of(watched.stream)
        on_token = watched.partial_answers.__setitem__
        if questions:
            yield from _publish(watched, self._engine.ask_all(watched.stream, questions, on_token))

    def _read(self, watched: WatchedSource) -> None:
        try:
            for item in watched.source.items():
                for slot in watched.camera.feed(item):
                    self._offer(watched, slot)
            for slot in watched.camera.flush():
                self._offer(watched, slot)
        except Exception as error:  # noqa: BLE001 - reported by `answers`
            watched.error = error
        finally:
            self._put((watched, None))

    def _offer(self, watched: WatchedSource, slot: Slot) -> None:
        if not watched.source.live:
            self._put((watched, slot))
            return
        try:
            self._items.put_nowait((watched, slot))
        except queue.Full:
            watched.dropped += 1
            watched.camera.force_anchor()

    def _put(self, item: _Item) -> None:
        while not self._closed.is_set():
            try:
                self._items.put(item, timeout=_POLL_S)
                return
            except queue.Full:
                continue


def _publish(watched: WatchedSource, answers: Iterable[Answer]) -> Iterator[Answer]:
    """Yield the answers and keep them as the latest ones of the source."""
    for answer in answers:
        watched.latest_answers[answer.question] = answer
        watched.partial_answers.pop(answer.question, None)
        yield answer
