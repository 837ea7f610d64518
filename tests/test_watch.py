"""Watching in one process: sources in threads of their own, answers in the caller's."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo
from codecsight.core.question import Question
from codecsight.engine.engine import Engine
from codecsight.models.tiny import random_model
from codecsight.video.capture.source import BaseSource, Source, SourceOptions, open_source
from codecsight.watch import Watcher, WatchOptions
from tests.golden.family_references import SmolVLM2
from tests.video.scenes import encode, texture

QUESTION = Question.parse("Is there a person?")
WORLD = "world://yard?seed=5&seconds=6&width=160&height=120"


def _watch(engine: Engine | None = None, policy: str = "tracked", rate: float = 2.0) -> Watcher:
    engine = engine or Engine(random_model())
    spec = engine.model.grid_spec(rate, 12)
    return Watcher(engine, WatchOptions(spec, [QUESTION], policy))


class _Broken(BaseSource):
    def items(self) -> Iterator[StreamInfo | Packet]:
        raise CodecSightError("the cable was cut")

    def close(self) -> None:
        pass


def test_a_file_gives_the_same_answers_every_time() -> None:
    runs = []
    for _ in range(2):
        watching = _watch()
        watching.add("yard", open_source(WORLD))
        runs.append([(a.start, a.end, a.value, a.probability) for a in watching.answers()])
    assert runs[0] == runs[1]
    assert [end for _, end, *_ in runs[0]] == [1.5, 3.5, 5.5]


def test_a_model_of_single_square_pictures_watches_a_wide_camera() -> None:
    watching = _watch(Engine(SmolVLM2().model))
    watching.add("yard", open_source(WORLD))
    answers = list(watching.answers())
    assert [answer.end for answer in answers] == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert answers[-1].cells_total == 8 * 3 * 3
    assert answers[-1].cells_kept < answers[-1].cells_total


def test_every_source_is_answered_under_its_own_name() -> None:
    watching = _watch()
    for name in ("one", "two"):
        watching.add(name, open_source(WORLD))
    streams = [answer.stream for answer in watching.answers()]
    assert sorted(streams) == ["one"] * 3 + ["two"] * 3
    assert [watched.dropped for watched in watching.watched] == [0, 0]


def test_a_source_that_fails_does_not_disturb_its_neighbour() -> None:
    watching = _watch()
    watching.add("bad", _Broken(live=False))
    watching.add("good", open_source(WORLD))
    assert {answer.stream for answer in watching.answers()} == {"good"}
    assert str(watching.watched[0].error) == "the cable was cut"


class _Shots(BaseSource):
    """A camera that is set to another size: first in the middle of its stream, then with a new
    connection to another shape too.
    """

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


def test_a_stream_that_changes_its_resolution_is_answered_on() -> None:
    watching = _watch()
    watching.add("yard", _Shots(live=False))
    ends = [answer.end for answer in watching.answers()]
    assert watching.watched[0].error is None
    assert watching.watched[0].camera.counters.frames == 150
    assert ends[0] < 2 < ends[1] < 4 < ends[-1]


def test_when_every_source_fails_the_reason_is_raised() -> None:
    watching = _watch()
    watching.add("bad", _Broken(live=False))
    with pytest.raises(CodecSightError, match="cable was cut"):
        list(watching.answers())


def test_a_wrong_policy_is_told_and_not_swallowed() -> None:
    watching = _watch(policy="psychic")
    watching.add("yard", open_source(WORLD))
    with pytest.raises(CodecSightError, match="psychic"):
        list(watching.answers())


def test_closing_ends_an_endless_source() -> None:
    watching = _watch()
    endless = open_source("world://yard?seed=5&width=160&height=120", SourceOptions())
    watching.add("yard", endless)
    threading.Timer(1.0, watching.close).start()
    list(watching.answers())
    assert watching.watched[0].error is None


def test_a_live_source_never_waits_for_a_slow_engine() -> None:
    class Slow(Engine):
        def push(self, stream: str, slot: object) -> object:  # type: ignore[override]
            block.wait(30)
            return super().push(stream, slot)  # type: ignore[arg-type]

    block = threading.Event()
    watching = _watch(Slow(random_model()), rate=10.0)
    source: Source = open_source("world://yard?seed=5&width=160&height=120&seconds=4&fps=20")
    source.live = True
    watching.add("yard", source)
    threading.Timer(3.0, block.set).start()
    answers = list(watching.answers())
    assert watching.watched[0].dropped > 0
    assert answers


class Kept(dict[str, str]):
    """Remembers all that was ever put into it."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def __setitem__(self, question: str, words: str) -> None:
        self.heard.append((question, words))
        super().__setitem__(question, words)


def test_free_text_can_be_read_while_it_is_said() -> None:
    engine = Engine(random_model())
    spec = engine.model.grid_spec(2.0, 12)
    seen = Question.parse("What do you see?")
    watching = Watcher(engine, WatchOptions(spec, [seen]))
    watching.add("yard", open_source(WORLD))
    saying = watching.watched[0].partial_answers = Kept()
    answer = next(watching.answers())
    watching.close()
    said = [words for question, words in saying.heard if question == seen.text]
    assert len(said) > 3
    assert len(set(said)) > 2
    assert answer.question == seen.text
    assert watching.watched[0].partial_answers == {}
