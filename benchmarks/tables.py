"""`python -m benchmarks.tables`: write README's and docs' measured parts from committed results.

With `--check` nothing is written; the exit status says whether they are up to date.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.accuracy.report import plot
from benchmarks.accuracy.report import tables as report
from benchmarks.density.table import density_table
from benchmarks.edge import tables as edge
from benchmarks.record import RESULTS

ROOT = RESULTS.parents[1]
README, ACCURACY = ROOT / "README.md", ROOT / "docs" / "accuracy.md"
SIGNALS = ROOT / "docs" / "codec-signals.md"
FRONTIER = ROOT / "docs" / "pictures" / "accuracy.svg"
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def main() -> None:
    """Bring all up to date, or check that it is."""
    if "--check" in sys.argv:
        sys.exit(
            f"{', '.join(found)}: run python -m benchmarks.tables" if (found := stale()) else 0
        )
    write()


def write() -> None:
    """Make everything anew that is made from results."""
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")


def stale() -> list[str]:
    """The files that are not what the results make of them."""
    return [path.name for path, text in made().items() if path.read_text("utf-8") != text]


def made() -> dict[Path, str]:
    """Every file that is made from results, or holds parts that are."""
    answers = _load("accuracy.json")
    docs = ACCURACY.read_text(encoding="utf-8")
    return {
        README: with_tables(README.read_text(encoding="utf-8")),
        SIGNALS: _between(SIGNALS.read_text("utf-8"), edge.all_tables(_load("edge.json"))),
        ACCURACY: report.replaced(docs, report.parts(answers)),
        FRONTIER: plot.svg(answers),
    }


def with_tables(text: str) -> str:
    """README's text with its measured part made anew."""
    tables = (
        demo_table(_load("demo.json")),
        report.summary(_load("accuracy.json")),
        ring_table(_load("vit-context.json")),
        edge.summary(_load("edge.json")),
        density_table(_load("density-cpu.json")),
    )
    return _between(text, "\n\n".join(tables))


def _between(text: str, measured: str) -> str:
    """The text with its measured part replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{measured}\n{END}{tail}"


def demo_table(row: dict[str, Any]) -> str:
    """What a minute of the demo came to."""
    parts = row["flops_by_part"]
    spent, anew, once = (parts[name] for name in ("spent", "dense_windows", "dense_slots"))
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
        "`python -m benchmarks.vit_context`: what pruning costs in answers, "
        f"{len(row['families'])} cameras of {row['seconds']} s (commit {row['commit']}, "
        "[results](benchmarks/results/vit-context.json)); "
        "the radius counts the neighbours around a changed cell that the ViT encodes too; default: "
        "the cached keys and values of all cells.",
        "",
        f"| | cells shipped | ViT FLOPs of dense | {' | '.join(questions)} |",
        "|---|---|---|" + "---|" * len(questions),
    ]
    for arm in row["rows"]:
        ring = "cached" if arm["neighbour_radius"] is None else f"radius {arm['neighbour_radius']}"
        name = "nothing pruned" if arm["policy"] == "everything" else ring
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
