"""Watcher: answers of several sources in one process, errors, and live sources."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.question import Question
from codecsight.engine.engine import Engine
from codecsight.models.tiny import random_model
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import BaseSource, Source, SourceOptions
from codecsight.watch import Watcher, WatchOptions
from tests.golden.family_references import SmolVLM2
from tests.video.scenes import encode, texture, write_video

QUESTION = Question.parse("Is there a person?")
WORLD = "world://yard?seed=5&seconds=6&width=160&height=120"


def _watch(engine: Engine | None = None, policy: str = "tracked", rate: float = 2.0) -> Watcher:
    engine = engine or Engine(random_model())
    spec = engine.model.grid_spec(rate, 12)
    return Watcher(engine, WatchOptions(spec, [QUESTION], policy))


class _Broken(BaseSource):
    def items(self) -> Iterator[StreamInfo | Packet]:
        raise CodecSightError("connection lost")

    def close(self) -> None:
        pass


def test_a_file_gives_the_same_answers_every_time() -> None:
    runs = []
    for _ in range(2):
        watcher = _watch()
        watcher.add("yard", open_source(WORLD))
        runs.append([(a.start, a.end, a.value, a.probability) for a in watcher.answers()])
    assert runs[0] == runs[1]
    assert [end for _, end, *_ in runs[0]] == [1.5, 3.5, 5.5]


def test_a_model_with_square_frames_accepts_a_wide_camera() -> None:
    watcher = _watch(Engine(SmolVLM2().model))
    watcher.add("yard", open_source(WORLD))
    answers = list(watcher.answers())
    assert [answer.end for answer in answers] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert answers[-1].cells_total == 8 * 3 * 3
    assert answers[-1].cells_kept < answers[-1].cells_total


def test_answers_carry_the_name_of_their_source() -> None:
    watcher = _watch()
    for name in ("one", "two"):
        watcher.add(name, open_source(WORLD))
    streams = [answer.stream for answer in watcher.answers()]
    assert sorted(streams) == ["one"] * 3 + ["two"] * 3
    assert [watched.dropped for watched in watcher.watched] == [0, 0]


def test_a_failed_source_does_not_stop_the_others() -> None:
    watcher = _watch()
    watcher.add("bad", _Broken(live=False))
    watcher.add("good", open_source(WORLD))
    assert {answer.stream for answer in watcher.answers()} == {"good"}
    assert str(watcher.watched[0].error) == "connection lost"


class _ResolutionChanges(BaseSource):
    """A camera that changes its size within a connection, then its shape with a new connection."""

    def items(self) -> Iterator[StreamInfo | Packet]:
        time = 0
        for size, connects in (((96, 128), True), ((144, 192), False), ((96, 256), True)):
            info, packets = encode([texture(*size, 1)] * 50)
            if connects:
                yield info
            for packet in packets:
                yield replace(packet, pts=(packet.pts or 0) + time, dts=(packet.dts or 0) + time)
            time += 2 * 90_000

    def close(self) -> None:
        pass


def test_answers_continue_after_a_change_of_resolution() -> None:
    watcher = _watch()
    watcher.add("yard", _ResolutionChanges(live=False))
    ends = [answer.end for answer in watcher.answers()]
    assert watcher.watched[0].error is None
    assert watcher.watched[0].camera.counters.frames == 150
    assert ends[0] < 2 < ends[1] < 4 < ends[-1]


def test_the_first_error_is_raised_if_all_sources_fail() -> None:
    watcher = _watch()
    watcher.add("bad", _Broken(live=False))
    with pytest.raises(CodecSightError, match="connection lost"):
        list(watcher.answers())


def test_an_unknown_policy_is_raised() -> None:
    watcher = _watch(policy="no-such-policy")
    watcher.add("yard", open_source(WORLD))
    with pytest.raises(CodecSightError, match="no-such-policy"):
        list(watcher.answers())


def test_close_ends_an_endless_source() -> None:
    watcher = _watch()
    endless = open_source("world://yard?seed=5&width=160&height=120", SourceOptions())
    watcher.add("yard", endless)
    threading.Timer(1.0, watcher.close).start()
    list(watcher.answers())
    assert watcher.watched[0].error is None


def test_a_live_source_never_waits_for_a_slow_engine() -> None:
    class Slow(Engine):
        def push(self, stream: str, slot: object) -> object:  # type: ignore[override]
            while not watcher.watched[0].dropped and time.monotonic() < deadline:
                time.sleep(0.02)
            return super().push(stream, slot)  # type: ignore[arg-type]

    deadline = time.monotonic() + 20
    watcher = _watch(Slow(random_model()), rate=10.0)
    source: Source = open_source("world://yard?seed=5&width=160&height=120&seconds=4&fps=20")
    source.live = True
    watcher.add("yard", source)
    answers = list(watcher.answers())
    assert watcher.watched[0].dropped > 0
    assert answers


class RecordingDict(dict[str, str]):
    """A dict that records every assignment."""

    def __init__(self) -> None:
        self.assignments: list[tuple[str, str]] = []

    def __setitem__(self, question: str, text: str) -> None:
        self.assignments.append((question, text))
        super().__setitem__(question, text)


def test_partial_answers_are_available_while_text_is_generated() -> None:
    engine = Engine(random_model())
    spec = engine.model.grid_spec(2.0, 12)
    question = Question.parse("What do you see?")
    watcher = Watcher(engine, WatchOptions(spec, [question]))
    watcher.add("yard", open_source(WORLD))
    partial_answers = watcher.watched[0].partial_answers = RecordingDict()
    answer = next(watcher.answers())
    watcher.close()
    texts = [text for asked, text in partial_answers.assignments if asked == question.text]
    assert len(texts) > 3
    assert len(set(texts)) > 2
    assert answer.question == question.text
    assert watcher.watched[0].partial_answers == {}


def test_a_still_picture_is_answered_about(tmp_path: Path) -> None:
    write_video(tmp_path / "still.mp4", [texture(96, 128, 1)], rate=1)
    watcher = _watch()
    watcher.add("still", open_source(str(tmp_path / "still.mp4")))
    (answer,) = watcher.answers()
    assert (answer.stream, answer.start, answer.question) == ("still", 0.0, QUESTION.text)
    assert answer.end < 0.001
    assert watcher.watched[0].error is None


def test_a_slow_camera_is_answered_about() -> None:
    pictures = [texture(96, 128, seed) for seed in range(8)]
    info, packets = encode(pictures, rate=0.2)
    watcher = _watch()
    watcher.add("slow", _Items([info, *packets]))
    ends = [answer.end for answer in watcher.answers()]
    assert ends
    assert ends[-1] == pytest.approx(35, abs=6)


def test_a_source_without_a_picture_is_an_error() -> None:
    info, packets = encode([texture(96, 128, 1)] * 5)
    broken = [replace(packet, data=b"\0\0\0\1\xff" * 9) for packet in packets]
    watcher = _watch()
    watcher.add("broken", _Items([info, *broken]))
    with pytest.raises(CodecSightError, match=r"broken: .*0 decoded.*codecsight doctor"):
        list(watcher.answers())


class _Items(BaseSource):
    """A source that sends these items."""

    def __init__(self, items: list[StreamInfo | Packet]) -> None:
        super().__init__(live=False)
        self._items = items

    def items(self) -> Iterator[StreamInfo | Packet]:
        yield from self._items

    def close(self) -> None:
        pass
