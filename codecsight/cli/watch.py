"""`codecsight watch`: answer questions about one or a few sources in one process, without Ray."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import structlog
import typer

from codecsight.cli.options import (
    AnchorEvery,
    AsJson,
    Model,
    Policy,
    Questions,
    Refresh,
    Stride,
    Transport,
    Window,
)
from codecsight.cli.output import out, print_error
from codecsight.cli.watch_output import print_json_lines, print_lines, show_table
from codecsight.core.errors import CodecSightError
from codecsight.core.slot import ANCHOR_EVERY
from codecsight.core.urls.redaction import redact_url
from codecsight.logs import FailureLog

if TYPE_CHECKING:
    from codecsight.change.sampler import SamplingRange
    from codecsight.video.capture.source import SourceState
    from codecsight.watch import Watcher

log = structlog.get_logger()

BUILT_IN_MODEL_NOTE = (
    "the built-in model knows only the procedural world (world://): its answers about other video "
    "are guesses; give --model"
)
MIN_POLL_S, MAX_POLL_S = 0.5, 10.0
"""Limits of the interval at which a still picture is fetched, otherwise that of the samples."""
DEFAULT_QUESTIONS = ["Is there a person?", "How many people are there?"]


def watch(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Video files, rtsp:// URLs, other URLs that FFmpeg opens, or world://yard?seed=7 "
            "(simulated)."
        ),
    ],
    question: Questions = DEFAULT_QUESTIONS,
    model: Model = None,
    policy: Policy = "tracked",
    anchor_every: AnchorEvery = ANCHOR_EVERY,
    window: Window = 8,
    stride: Stride = 2,
    refresh: Refresh = "none",
    sample_fps: Annotated[float, typer.Option(help="Frames sampled per second.", min=0.1)] = 2.0,
    adaptive_fps: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Adapt the sampling rate to the activity, between MIN and MAX frames per second.",
            metavar="MIN MAX",
        ),
    ] = None,
    max_cells: Annotated[
        int, typer.Option(help="Maximum cells (visual tokens) per picture.", min=1)
    ] = 48,
    transport: Transport = "tcp",
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Read files at their frame rate (ffmpeg -re).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Answer questions about video sources continuously, in one process.

    Every question is answered each time the window has moved by a stride. On a terminal a table
    shows the newest answers; in a pipe each answer is one line of text. With --json it is one line
    of JSON: stream, question, value, probability, start and end (seconds of stream
    time), capture_time, latency_ms, cells_kept, cells_total, model.

    Examples: `codecsight watch yard.mp4 --question "Is there a person?" --json` or
    `codecsight watch rtsp://10.0.0.7/main -q "What colour is the car? | red, blue, white"`.
    """
    from codecsight.core.question import Question
    from codecsight.video.capture.open import open_source
    from codecsight.video.capture.source import SourceOptions

    options = SourceOptions(
        transport=transport,
        paced=realtime,
        poll_s=min(max(1 / sample_fps, MIN_POLL_S), MAX_POLL_S),
    )
    opened = [open_source(url, options) for url in sources]
    questions = [Question.parse(text) for text in question]

    import torch  # slow: imported after the sources are open, so that a wrong path fails at once

    from codecsight.engine.config import EngineConfig
    from codecsight.engine.engine import Engine
    from codecsight.models.loading import load_model
    from codecsight.watch import Watcher, WatchOptions

    torch.set_num_threads(max(1, torch.get_num_threads() - 1))  # leave a core for decoding
    engine = Engine(load_model(model), EngineConfig(window=window, stride=stride, refresh=refresh))
    spec = engine.model.grid_spec(sample_fps, max_cells)
    sampling = _sampling_range(adaptive_fps)
    watching = Watcher(engine, WatchOptions(spec, questions, policy, anchor_every, sampling))
    for name, source in zip(source_names(sources), opened, strict=True):
        if as_json or not out.is_terminal:
            source.on_state = partial(_log_state, FailureLog("source", stream=name))
        watching.add(name, source)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: watching.close())
    procedural = all(url.strip().lower().startswith("world://") for url in sources)
    warn_about_the_built_in_model(model, procedural)
    _output(as_json)(watching)
    for watched in watching.watched:
        if watched.error:
            print_error(watched.error)
    if any(watched.error for watched in watching.watched):
        raise typer.Exit(2)


def _output(as_json: bool) -> "Callable[[Watcher], None]":
    if as_json:
        return print_json_lines
    return show_table if out.is_terminal else print_lines


def warn_about_the_built_in_model(model: str | None, procedural: bool) -> None:
    """Say once that the built-in model knows only the procedural world."""
    if model is None and not procedural:
        log.warning(BUILT_IN_MODEL_NOTE)


def _log_state(failures: "FailureLog", state: "SourceState", detail: str) -> None:
    if state.value in ("down", "stalled"):
        failures.failed(detail or state.value)
    elif state.value == "live":
        failures.recovered()


def source_names(urls: list[str]) -> list[str]:
    """A short unique name for each source: file name or host, with a number if it is taken."""
    names: list[str] = []
    for url in urls:
        # Redacted: a password with a '/' would make the user name the host.
        parts = urlsplit(redact_url(url)) if "://" in url else None
        base = (parts.hostname if parts else Path(url).stem) or "stream"
        names.append(next(name for name in _numbered(base) if name not in names))
    return names


def _numbered(base: str) -> Iterator[str]:
    yield base
    yield from (f"{base}-{number}" for number in count(2))


def _sampling_range(adaptive_fps: tuple[float, float] | None) -> "SamplingRange | None":
    from codecsight.change.sampler import SamplingRange

    if adaptive_fps is None:
        return None
    if not 0 < adaptive_fps[0] < adaptive_fps[1]:
        raise CodecSightError(
            "--adaptive-fps needs two rates above 0, the lower one first, such as: 0.5 4"
        )
    return SamplingRange(*adaptive_fps)
