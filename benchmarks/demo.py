"""`python -m benchmarks.demo`: run the demo and keep its numbers for README's table."""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

from benchmarks.record import record


def main() -> None:
    """Run for a minute, or for the seconds given, and record the summary."""
    seconds = sys.argv[1] if sys.argv[1:] else "60"
    command = [sys.executable, "-m", "codecsight", "demo", "--json", "--seconds", seconds]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    print(record("demo", _condensed(json.loads(run.stdout))))


def _condensed(row: dict[str, Any]) -> dict[str, Any]:
    """The summary with its answers counted instead of listed."""
    answers = row.pop("answers")
    latencies = sorted(answer["latency_ms"] for answer in answers)
    return {
        **row,
        "answers_by_question": dict(Counter(answer["question"] for answer in answers)),
        "latency_ms_median": round(latencies[len(latencies) // 2], 1),
    }


if __name__ == "__main__":
    main()
