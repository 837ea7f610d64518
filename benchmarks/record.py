"""Write benchmark results as JSON, with the machine and the commit they come from."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def record(name: str, result: dict[str, Any]) -> Path:
    """Write `results/NAME.json` and return its path."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**origin(), **result}, indent=1) + "\n", encoding="utf-8")
    return path


def origin() -> dict[str, Any]:
    """Time, commit and machine of a result."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _COMMIT,
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
    }


def _git(*arguments: str) -> str:
    run = subprocess.run(
        ["git", *arguments], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return run.stdout.strip()


_COMMIT = _git("rev-parse", "--short", "HEAD")
"""Read at import: the working tree may move to another commit while a benchmark runs."""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
