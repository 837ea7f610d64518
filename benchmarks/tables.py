"""`python -m benchmarks.tables`: write README's measured part from the committed results.

With `--check` nothing is written; the exit status says whether README is up to date.
"""

import json
import sys
from typing import Any

from benchmarks.record import RESULTS

README = RESULTS.parents[1] / "README.md"
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def main() -> None:
    """Bring README up to date, or check that it is."""
    text = README.read_text(encoding="utf-8")
    fresh = with_tables(text)
    if "--check" in sys.argv:
        sys.exit(0 if fresh == text else "README.md: run python -m benchmarks.tables")
    README.write_text(fresh, encoding="utf-8")


def with_tables(text: str) -> str:
    """README's text with its measured part made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    measured = "\n\n".join([demo_table(_load("demo.json")), ring_table(_load("ring.json"))])
    return f"{head}{BEGIN}\n{measured}\n{END}{tail}"


def demo_table(row: dict[str, Any]) -> str:
    """What a minute of the demo came to."""
    parts = row["flops_by_part"]
    spent, anew, once = (
        parts[name] for name in ("spent", "dense_each_window_anew", "dense_each_slot_once")
    )
    machine = row["machine"]
    lines = [
        f"`python -m benchmarks.demo`: {len(row['cameras'])} cameras watched for "
        f"{row['seconds']:.0f} s on {machine['cores']} cores of an {machine['processor']} "
        f"(commit {row['commit']}, [results](benchmarks/results/demo.json)). The dense twins see "
        "the same streams and questions and prune nothing; FLOPs are counted.",
        "",
        "| | CodecSight | whole windows, computed anew at each step | whole slots, each once |",
        "|---|---|---|---|",
        f"| visual tokens | {row['cells_kept']:,} | | {row['cells_total']:,} "
        f"({_times(row['cells_total'], row['cells_kept'])}) |",
        _flops("ViT FLOPs", spent["vit"], anew["vit"], once["vit"]),
        _flops("language model FLOPs", spent["llm"], anew["llm"], once["llm"]),
        "",
        f"The cameras sent {row['source_bytes'] / 1e6:.1f} MB of video; "
        f"{row['uplink_bytes'] / 1e6:.2f} MB went to the cloud "
        f"({row['uplink_bytes'] / row['source_bytes']:.1%}). "
        f"{sum(row['answers_by_question'].values())} answers, half of them within "
        f"{row['latency_ms_median']:.0f} ms of their slot's arrival. {row['segments_archived']} "
        f"segments archived, {row['segments_verified']} read back byte for byte.",
        "",
        *_truth(row["answers_against_truth"]),
    ]
    return "\n".join(lines)


def _truth(scores: dict[str, dict[str, int]]) -> list[str]:
    """Answers of the procedural cameras, whose truth is known."""
    return [
        "| against the truth of the procedural cameras | right | best constant answer |",
        "|---|---|---|",
        *(
            f"| {question} ({score['checked']} times) | {score['right'] / score['checked']:.0%} "
            f"| {score['best_constant_right'] / score['checked']:.0%} |"
            for question, score in scores.items()
        ),
    ]


def ring_table(row: dict[str, Any]) -> str:
    """What it is worth that the ViT sees the neighbours of what changed."""
    questions = list(row["rows"][0]["right"])
    lines = [
        "`python -m benchmarks.ring`: what pruning costs in answers, "
        f"{len(row['families'])} cameras of {row['seconds']} s (commit {row['commit']}, "
        "[results](benchmarks/results/ring.json)); "
        "a ring is how many neighbours around a changed cell the ViT sees as well.",
        "",
        f"| | cells shipped | ViT FLOPs of dense | {' | '.join(questions)} |",
        "|---|---|---|" + "---|" * len(questions),
    ]
    for arm in row["rows"]:
        name = "nothing pruned" if arm["policy"] == "everything" else f"ring {arm['ring']}"
        right = " | ".join(f"{arm['right'][question]:.1%}" for question in questions)
        lines.append(f"| {name} | {arm['kept']:.0%} | {arm['vit_flops_of_dense']:.0%} | {right} |")
    return "\n".join(lines)


def _flops(name: str, spent: float, anew: float, once: float) -> str:
    twins = " | ".join(f"{dense:.3g} ({_times(dense, spent)})" for dense in (anew, once))
    return f"| {name} | {spent:.3g} | {twins} |"


def _times(dense: float, spent: float) -> str:
    return f"{dense / spent:.1f} times" if spent else "all"


def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    main()
