"""Installation: uv is given pip's settings, and installs what is locked."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[1] / "requirements"

PIP_SETTINGS = r"""
:env:.find-links='/wheels /more wheels'
global.index-url='https://one.example/simple'
install.index-url='https://two.example/simple'
global.extra-index-url='\nhttps://a.example/simple\nhttps://b.example/simple'
global.constraint='/etc/constraints.txt'
global.no-index='false'
global.quiet='1'
"""


def _settings(text: str, **environment: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    run = subprocess.run(
        [sys.executable, REQUIREMENTS / "uv_settings.py"],
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**clean, **environment},
    )
    words = [shlex.split(line) for line in run.stdout.splitlines()]
    assert all(word[0] == "export" for word in words)
    return dict(word[1].split("=", 1) for word in words)


def test_pips_settings_are_those_of_uv() -> None:
    assert _settings(PIP_SETTINGS) == {
        "UV_DEFAULT_INDEX": "https://two.example/simple",
        "UV_INDEX": "https://a.example/simple https://b.example/simple",
        "UV_FIND_LINKS": "/wheels,/more,wheels",
        "UV_CONSTRAINT": "/etc/constraints.txt",
    }


def test_settings_of_uv_stay() -> None:
    settings = _settings(PIP_SETTINGS, UV_INDEX="https://mine.example/simple")
    assert "UV_INDEX" not in settings


@pytest.mark.parametrize("extra", ["demo", "dev"])
def test_uv_is_locked_and_torch_is_not(extra: str) -> None:
    pins = (REQUIREMENTS / f"{extra}.txt").read_text()
    assert re.search(r"(?m)^uv==\S+ \\\n    --hash=", pins)
    assert not re.search(r"(?m)^(torch==|nvidia-)", pins)
