"""Output of commands: any text in any locale, JSON without NaN, unwritable standard output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from codecsight.cli.output import print_json

PRINT = """
from codecsight.cli.output import err, out, prepare_output, print_error, print_json
prepare_output()
print_json({"question": "Gibt es K\\u00fche?", "file": "\\udcff.mp4"})
out.print("K\\u00fche \\udcff", highlight=False)
print_error(ValueError("\\u00e9"))
"""


def run(*command: str, output: str = "", **environment: str) -> subprocess.CompletedProcess[bytes]:
    stdout = Path(output).open("wb") if output else subprocess.PIPE  # noqa: SIM115
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "text", "error"),
    [
        ({"PYTHONIOENCODING": "ascii"}, rb"K\xfche \udcff", rb"error: \xe9"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, rb"K\xfche", rb"\xe9"),
        ({"PYTHONIOENCODING": "latin-1"}, b"K\xfche \\udcff", b"error: \xe9"),
        ({"PYTHONIOENCODING": "utf-8"}, "Kühe \\udcff".encode(), "error: é".encode()),
    ],
)
def test_any_text_is_printed_in_any_encoding(
    environment: dict[str, str], text: bytes, error: bytes
) -> None:
    done = run("-c", PRINT, **environment)
    assert done.returncode == 0, done.stderr
    line, plain = done.stdout.splitlines()
    assert json.loads(line) == {"question": "Gibt es Kühe?", "file": "\udcff.mp4"}
    assert plain.startswith(text)
    assert error in done.stderr


def test_numbers_that_json_lacks_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    nan, inf = float("nan"), float("inf")
    print_json({"a": nan, "b": [1.5, -inf, {"c": (inf, 2)}], "d": "NaN", "e": True})
    line = capsys.readouterr().out
    assert json.loads(line, parse_constant=pytest.fail) == {
        "a": None,
        "b": [1.5, None, {"c": [None, 2]}],
        "d": "NaN",
        "e": True,
    }


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_standard_output_is_an_error(option: str) -> None:
    done = run("-m", "codecsight", option, output="/dev/full")
    assert done.returncode == 2
    assert done.stderr.decode().strip() == (
        "error: can't write to standard output: No space left on device"
    )


def test_a_closed_standard_output_is_no_error() -> None:
    done = run("-c", "import os, sys; os.close(1); os.execv(sys.executable, [sys.executable, '-m', "
               "'codecsight', '--version'])")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
