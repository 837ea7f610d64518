"""`python -m benchmarks.demo`: run the demo and record its figures for docs/measured.md."""

import argparse
import json
import subprocess
import sys
from collections import Counter
from typing import Any

from benchmarks.record import record


def main() -> None:
    """Run the demo and write `results/demo.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60, help="duration of the demo")
    seconds = parser.parse_args().seconds
    command = [sys.executable, "-m", "codecsight", "demo", "--json", "--seconds", f"{seconds:g}"]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(record("demo", _summarise(json.loads(run.stdout))))


def _summarise(row: dict[str, Any]) -> dict[str, Any]:
    """Return the summary with answers counted where it lists them."""
    answers = row.pop("answers")
    latencies = sorted(answer["latency_ms"] for answer in answers)
    return {
        **row,
        "answers_by_question": dict(Counter(answer["question"] for answer in answers)),
        "latency_ms_median": round(latencies[len(latencies) // 2], 1),
    }


if __name__ == "__main__":
    main()
