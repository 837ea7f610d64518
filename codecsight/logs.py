"""Logs of all processes, in one format: lines of text, or JSON objects for machines.

Every line has the time (UTC), the level, an event in a few words, and the process it is from; most
name the stream. Levels: `debug` for what happens all the time (a segment was recorded), `info` for
starts and ends, `warning` for every change of state (a camera, uplink or worker is gone or back,
something was dropped), `error` for what needs a person.

Child processes inherit format and level through the environment.
"""

import os
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import PurePath
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from codecsight.core.json_values import finite
from codecsight.core.urls.redaction import redact_text

FORMAT_VARIABLE = "CODECSIGHT_LOG"
LEVEL_VARIABLE = "CODECSIGHT_LOG_LEVEL"

log = structlog.get_logger()


class LogFormat(StrEnum):
    """How log lines are written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def set_log_options(log_format: LogFormat, level: LogLevel) -> None:
    """Set format and level for this process and its children. `configure_logs` reads them."""
    os.environ[FORMAT_VARIABLE] = log_format
    os.environ[LEVEL_VARIABLE] = level


def configure_logs(process: str, output: TextIO | None = None, **fields: str) -> None:
    """Write this process's logs to `output` (standard error), with its name and other fields, such
    as stream="yard.gate", in every line. Text has colours only on a terminal. Unknown values in the
    environment count as the defaults.
    """
    output = output or sys.stderr

    def add_fields(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {**event, "process": process, **fields}

    level = LogLevel(_from_environment(LEVEL_VARIABLE, LogLevel, LogLevel.INFO))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_fields,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            *_renderers(output),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,  # a test or a parent may configure again
    )


def log_format() -> LogFormat:
    """The format that the environment asks for."""
    return LogFormat(_from_environment(FORMAT_VARIABLE, LogFormat, LogFormat.TEXT))


def _redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Remove secrets from the URLs in a line, also those in messages of other libraries."""
    return {key: _redacted(value) for key, value in event.items()}


def _redacted(value: Any) -> Any:
    """A value of a line, without secrets; paths and errors become text."""
    if isinstance(value, dict):
        return {key: _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_redacted(item) for item in value]
    if isinstance(value, BaseException | PurePath):
        value = str(value)
    return redact_text(value) if isinstance(value, str) else value


def _finite(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Write null for a number that is not finite, which JSON can't hold."""
    return {key: finite(value) for key, value in event.items()}


def _renderers(output: TextIO) -> list[Processor]:
    if log_format() is LogFormat.JSON:
        return [_finite, structlog.processors.JSONRenderer(allow_nan=False)]
    colors = output.isatty() and not os.environ.get("NO_COLOR")
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]


def _from_environment(variable: str, kind: type[StrEnum], default: StrEnum) -> str:
    value = os.environ.get(variable, default).lower()
    return value if value in list(kind) else default


class FailureLog:
    """Logs a lasting failure once, its repetitions by their number (10, 100, ...), and its end.

    `event` and `details` (such as stream=...) are in every line.
    """

    def __init__(
        self, event: str, clock: Callable[[], float] = time.monotonic, **details: Any
    ) -> None:
        self._event, self._clock, self._details = event, clock, details
        self._reason = ""
        self._count = 0
        self._since = 0.0

    def failed(self, reason: str) -> None:
        """Record a failure. The first, every one with a new reason, the 10th, 100th, and so on are
        logged.
        """
        if self._count == 0:
            self._since = self._clock()
        self._count += 1
        if reason != self._reason:
            log.warning(f"{self._event} failed", reason=reason, **self._details)
        elif self._count in _POWERS_OF_TEN:
            log.warning(
                f"{self._event} still fails", reason=reason, attempts=self._count, **self._details
            )
        self._reason = reason

    def recovered(self) -> None:
        """Record a success: logged if there were failures before it."""
        if self._count:
            seconds = round(self._clock() - self._since, 1)
            log.warning(
                f"{self._event} works again",
                failures=self._count,
                after_s=seconds,
                **self._details,
            )
        self._reason, self._count = "", 0


_POWERS_OF_TEN = frozenset(10**power for power in range(1, 9))
