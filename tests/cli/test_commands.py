"""Commands: help, JSON output, and clear errors with exit code 2."""

import json
import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from codecsight.cli.watch import source_names
from codecsight.models.tiny import save_random_model
from tests.video.scenes import moving_square, write_video

ENDLESS = "world://hall?seed=5&width=160&height=120"
REFUSED = "rtsp://127.0.0.1:9/none"


def _run(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codecsight", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    forth = moving_square(30, (4, 0), (8, 80))
    path = tmp_path_factory.mktemp("video") / "square.mp4"
    return write_video(path, [*forth, *forth[::-1]] * 2, rate=10)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_random_model(tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize(
    "command", ["demo", "watch", "doctor", "site", "cloud", "ask", "clip", "validate"]
)
def test_every_command_has_help(command: str) -> None:
    run = _run(command, "--help")
    assert run.returncode == 0
    assert "Usage" in run.stdout


def test_watch_prints_one_answer_per_line(video: Path, model: str) -> None:
    run = _run("watch", str(video), "-q", "Is there a person?", "--json", "--model", model)
    assert run.returncode == 0, run.stderr
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    assert rows
    expected = {"stream", "question", "value", "probability", "start", "end", "latency_ms"}
    assert all(expected | {"cells_kept", "cells_total"} <= row.keys() for row in rows)
    assert rows[-1]["end"] == pytest.approx(11.5)
    assert {row["stream"] for row in rows} == {"square"}


def test_watch_prints_answers_as_lines_in_a_pipe(video: Path, model: str) -> None:
    run = _run("watch", str(video), "-q", "Is there a person?", "--model", model)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[-1].startswith("square  11.5 s  Is there a person?  ")
    assert lines[-1].split("  ")[3] in ("yes", "no")
    assert "procedural world" not in run.stderr, "said of the built-in model only"


@pytest.mark.parametrize("kind", ["file", "world"])
def test_watch_says_once_that_the_built_in_model_only_guesses(video: Path, kind: str) -> None:
    source = str(video) if kind == "file" else "world://yard?seed=3&seconds=4&width=160&height=120"
    run = _run("watch", source, "-q", "Is there a person?")
    assert run.returncode == 0, run.stderr
    assert run.stdout
    assert run.stderr.count("give --model") == (1 if kind == "file" else 0)


def test_watch_names_a_truncated_source(video: Path, model: str, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    run = _run("watch", str(cut), "--json", "--model", model)
    assert run.returncode == 2
    assert "cut.mp4" in run.stderr
    assert "Traceback" not in run.stderr


def test_sources_with_the_same_name_get_unique_names() -> None:
    urls = ["a-2.mp4", "a.mp4", "b/a.mp4", "rtsp://10.0.0.7/main", "rtsp://10.0.0.7/sub"]
    assert source_names(urls) == ["a-2", "a", "a-3", "10.0.0.7", "10.0.0.7-2"]


def test_watch_exits_without_a_traceback_on_a_closed_pipe_or_a_signal(model: str) -> None:
    command = [sys.executable, "-m", "codecsight", "watch", ENDLESS, "--json", "--model", model]
    for cause in ("closed pipe", "SIGTERM"):
        with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert json.loads(process.stdout.readline())["stream"] == "hall"
            if cause == "SIGTERM":
                process.terminate()
            else:
                process.stdout.close()
            errors = process.stderr.read()
            assert process.wait(20) == (0 if cause == "SIGTERM" else 1), errors
            assert "Traceback" not in errors
            assert "Exception" not in errors


def test_watch_logs_an_unreachable_camera_and_continues(model: str) -> None:
    command = [sys.executable, "-m", "codecsight", "watch", REFUSED, "--json", "--model", model]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if "source failed" in line)
        assert "Connection refused" in line
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.parametrize("name", ["nowhere.mp4", "text.mp4", "rtsp://[::1/"])
def test_an_invalid_source_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video\n" * 100)
    for command in ("watch", "doctor"):
        run = _run(command, name if "://" in name else str(tmp_path / name))
        assert run.returncode == 2
        assert name in run.stderr
        assert "Traceback" not in run.stderr


def test_a_model_folder_without_weights_is_an_error_that_names_it(
    video: Path, tmp_path: Path
) -> None:
    folder = save_random_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    run = _run("watch", str(video), "--model", str(folder))
    assert run.returncode == 2
    assert str(folder) in run.stderr
    assert "Traceback" not in run.stderr


def test_doctor_prints_one_json_object(video: Path) -> None:
    run = _run("doctor", str(video), "--json")
    assert run.returncode == 0, run.stderr
    row = json.loads(run.stdout)
    assert row["codec"] == "h264"
    assert row["measured_fps"] == pytest.approx(10, rel=0.01)
    assert 0 < row["kept_share"] <= 1
    assert row["motion"] is True
    expected = {"declared_fps", "gop_frames", "gop_seconds", "intra", "noise", "camera_moves"}
    assert expected <= row.keys()
    cores = (row["decode_ms"] + row["tracking_ms"]) * row["measured_fps"] / 1000
    assert row["cpu_per_stream"] == pytest.approx(cores, rel=0.01)
    assert row["streams_per_core"] == pytest.approx(1 / cores, rel=0.05)


def test_validate_reports_file_line_and_key(tmp_path: Path) -> None:
    bad = tmp_path / "cloud.yaml"
    bad.write_text("sites: [yard]\nengine:\n  windows: 3\n")
    run = _run("validate", str(bad))
    assert run.returncode == 2
    assert f"{bad}:3: engine.windows: unknown key" in run.stdout
    assert json.loads(_run("validate", str(bad), "--json").stdout)["ok"] is False


def test_ask_names_an_unreachable_cloud() -> None:
    run = _run("ask", "yard.gate", "Is there a person?", "--address", "127.0.0.1:9")
    assert run.returncode == 2
    assert "127.0.0.1:9" in run.stderr
    assert "Traceback" not in run.stderr


def test_ask_reports_an_invalid_schema(tmp_path: Path) -> None:
    (tmp_path / "shape.json").write_text('{"type": "integer"}')
    for file, reason in (("shape.json", "schema of an object"), ("none.json", "can't be read")):
        run = _run("ask", "yard.gate", "What is there?", "--schema", str(tmp_path / file))
        assert run.returncode == 2
        assert reason in run.stderr
        assert "Traceback" not in run.stderr


def test_clip_names_a_stream_that_the_archive_lacks(tmp_path: Path) -> None:
    run = _run("clip", "yard.gate", "--from", "-5m", "--archive", f"dir:{tmp_path}")
    assert run.returncode == 2
    assert "yard.gate" in run.stderr


def test_demo_rejects_a_path_that_is_not_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = _run("demo", "--dir", str(tmp_path / "file"))
    assert run.returncode == 2
    assert "can't be used as a folder" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_version_is_printed() -> None:
    assert re.match(r"\d+\.\d+", _run("--version").stdout)


def test_bench_needs_a_checkout_in_the_current_folder(tmp_path: Path) -> None:
    script = [str(Path(sys.executable).parent / "codecsight"), "bench", "edge", "--json", "it.json"]

    def bench(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            script, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )

    failed = bench(tmp_path)
    assert failed.returncode == 2
    assert "checkout" in failed.stderr
    checkout = tmp_path / "benchmarks" / "edge"
    checkout.mkdir(parents=True)
    (checkout / "run.py").write_text(
        "def run(quick, on_progress): return 'measured'\n"
        "def save(result, path): path.write_text(result)\n"
    )
    assert bench(tmp_path).returncode == 0
    assert (tmp_path / "it.json").read_text() == "measured"
