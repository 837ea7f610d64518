"""Logs: one format in every process, no colours in files, retries counted."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from codecsight.logs import (
    FORMAT_VARIABLE,
    LEVEL_VARIABLE,
    FailureLog,
    LogFormat,
    LogLevel,
    configure_logs,
    set_log_options,
)


@pytest.fixture(autouse=True)
def _restore(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(FORMAT_VARIABLE, raising=False)
    monkeypatch.delenv(LEVEL_VARIABLE, raising=False)
    yield
    structlog.reset_defaults()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _written(stream: io.StringIO) -> str:
    configure_logs("gateway", stream)
    structlog.get_logger().warning("stream lost", stream="yard.gate")
    return stream.getvalue()


def test_text_names_time_level_event_process_and_stream_without_colours() -> None:
    line = _written(io.StringIO())
    assert "\x1b" not in line
    assert "warning" in line
    assert "stream lost" in line
    assert "process=gateway" in line
    assert "stream=yard.gate" in line
    assert line.count("\n") == 1


def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in _written(_Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in _written(_Terminal())


def test_json_has_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "json")
    record = json.loads(_written(_Terminal()))
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "event": "stream lost",
        "level": "warning",
        "process": "gateway",
        "stream": "yard.gate",
    }


def test_an_exception_in_json_stays_on_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "json")
    stream = io.StringIO()
    configure_logs("gateway", stream)
    try:
        raise ValueError("no such stream")
    except ValueError:
        structlog.get_logger().exception("analysis failed")
    assert "ValueError: no such stream" in json.loads(stream.getvalue())["exception"]


def test_lines_below_the_level_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for level, shown in (("debug", True), ("info", False), ("nonsense", False)):
        monkeypatch.setenv(LEVEL_VARIABLE, level)
        stream = io.StringIO()
        configure_logs("recorder", stream)
        structlog.get_logger().debug("segment recorded")
        assert bool(stream.getvalue()) is shown


def test_child_processes_inherit_format_and_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "text")  # restored after the test
    monkeypatch.setenv(LEVEL_VARIABLE, "info")
    set_log_options(LogFormat.JSON, LogLevel.DEBUG)
    program = (
        "import structlog; from codecsight.logs import configure_logs; configure_logs('child');"
        "structlog.get_logger().debug('segment recorded')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=dict(os.environ),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stderr)["process"] == "child"


def test_a_lasting_failure_is_logged_once_then_counted_and_at_its_end() -> None:
    now = 100.0
    failures = FailureLog("upload", clock=lambda: now, stream="yard.gate")
    with capture_logs() as lines:
        failures.recovered()  # nothing has failed yet
        for _ in range(120):
            failures.failed("connection refused")
        now = 160.5
        failures.recovered()
        failures.recovered()
        failures.failed("connection refused")
    assert [(line["event"], line.get("attempts"), line.get("failures")) for line in lines] == [
        ("upload failed", None, None),
        ("upload still fails", 10, None),
        ("upload still fails", 100, None),
        ("upload works again", None, 120),
        ("upload failed", None, None),
    ]
    assert {(line["log_level"], line["stream"]) for line in lines} == {("warning", "yard.gate")}
    assert lines[3]["after_s"] == 60.5


def test_a_new_reason_is_logged_at_once() -> None:
    failures = FailureLog("upload")
    with capture_logs() as lines:
        for reason in ("refused", "refused", "access denied", "refused"):
            failures.failed(reason)
    assert [line["reason"] for line in lines] == ["refused", "access denied", "refused"]


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_lines_and_tracebacks_hold_no_secrets_of_urls(log_format: LogFormat) -> None:
    set_log_options(log_format, LogLevel.INFO)
    stream = io.StringIO()
    configure_logs("recorder", stream)
    url = "rtsp://admin:Geh#eim7@10.0.0.7/main?token=Geheim7"
    structlog.get_logger().warning("lost", reason=f"[Errno 5] I/O error: '{url}'")
    try:
        raise OSError(f"cannot open {url}")
    except OSError:
        structlog.get_logger().exception("failed")
    assert "eim7" not in stream.getvalue()
    assert stream.getvalue().count("rtsp://***@10.0.0.7/main?token=***") == 2


def test_json_holds_null_for_numbers_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, "json")
    stream = io.StringIO()
    configure_logs("recorder", stream)
    structlog.get_logger().warning("slow", fps=float("nan"), rows=[{"ms": float("inf")}, 2.5])
    record = json.loads(stream.getvalue())
    assert (record["fps"], record["rows"]) == (None, [{"ms": None}, 2.5])


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_secrets_in_nested_values_are_hidden(
    log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FORMAT_VARIABLE, log_format)
    stream = io.StringIO()
    configure_logs("recorder", stream)
    url = "rtsp://admin:Geheim7@cam/x"  # pragma: allowlist secret
    error = ValueError(f"{url}: refused")
    structlog.get_logger().error("failed", urls=[url], by={"gate": (url,)}, error=error)
    assert "cam/x" in stream.getvalue()
    assert "Geheim7" not in stream.getvalue()
