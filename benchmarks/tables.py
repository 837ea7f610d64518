"""`python -m benchmarks.tables`: write the measured parts of README and docs from results.

With `--check` nothing is written; the exit status tells whether they are up to date.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.accuracy.report import plot
from benchmarks.accuracy.report import tables as report
from benchmarks.density.table import density_table
from benchmarks.edge import tables as edge
from benchmarks.markdown import wrap_prose
from benchmarks.record import RESULTS

ROOT = RESULTS.parents[1]
README, ACCURACY = ROOT / "README.md", ROOT / "docs" / "accuracy.md"
SIGNALS = ROOT / "docs" / "codec-signals.md"
FRONTIER = ROOT / "docs" / "pictures" / "accuracy.svg"
BEGIN, END = "<!-- measured -->", "<!-- end -->"


def main() -> None:
    """Update the files, or check that they are up to date."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="check only; write nothing")
    if parser.parse_args().check:
        sys.exit(
            f"{', '.join(found)}: run python -m benchmarks.tables" if (found := outdated()) else 0
        )
    write()


def write() -> None:
    """Write every file that is generated from results."""
    for path, text in generated_files().items():
        path.write_text(text, encoding="utf-8")


def outdated() -> list[str]:
    """Return the names of files that differ from what the results generate."""
    return [
        path.name for path, text in generated_files().items() if path.read_text("utf-8") != text
    ]


def generated_files() -> dict[Path, str]:
    """Return the text of every file that is generated, wholly or in parts, from results."""
    answers = _load("accuracy.json")
    docs = ACCURACY.read_text(encoding="utf-8")
    return {
        README: with_tables(README.read_text(encoding="utf-8")),
        SIGNALS: _between(SIGNALS.read_text("utf-8"), edge.all_tables(_load("edge.json"))),
        ACCURACY: report.replace_parts(docs, report.parts(answers)),
        FRONTIER: plot.svg(answers),
    }


def with_tables(text: str) -> str:
    """Return README's text with its measured part replaced."""
    tables = (
        demo_table(_load("demo.json")),
        report.summary(_load("accuracy.json")),
        vit_context_table(_load("vit-context.json")),
        edge.summary(_load("edge.json")),
        density_table(_load("density-cpu.json")),
    )
    return _between(text, "\n\n".join(tables))


def _between(text: str, measured: str) -> str:
    """Return the text with the part between BEGIN and END replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{wrap_prose(measured)}\n{END}{tail}"


def demo_table(row: dict[str, Any]) -> str:
    """README's table of one minute of the demo."""
    parts = row["flops_by_part"]
    spent, windows, slots = (parts[name] for name in ("spent", "dense_windows", "dense_slots"))
    machine = row["machine"]
    lines = [
        f"`python -m benchmarks.demo`: {len(row['cameras'])} cameras watched for "
        f"{row['seconds']:.0f} s on {machine['cores']} cores of an {machine['processor']} "
        f"(commit {row['commit']}, [results](benchmarks/results/demo.json)). The dense models get "
        "the same streams and questions and prune nothing; FLOPs are counted.",
        "",
        "| | CodecSight | dense, every window recomputed | dense, every slot once |",
        "|---|---|---|---|",
        f"| visual tokens | {row['cells_kept']:,} | | {row['cells_total']:,} "
        f"({_times(row['cells_total'], row['cells_kept'])}) |",
        _flops("ViT FLOPs", spent["vit"], windows["vit"], slots["vit"]),
        _flops("language model FLOPs", spent["llm"], windows["llm"], slots["llm"]),
        "",
        f"The cameras sent {row['source_bytes'] / 1e6:.1f} MB of video; "
        f"{row['uplink_bytes'] / 1e6:.2f} MB went to the cloud "
        f"({row['uplink_bytes'] / row['source_bytes']:.1%}). "
        f"{sum(row['answers_by_question'].values())} answers; median latency "
        f"{row['latency_ms_median']:.0f} ms from the slot's arrival. {row['segments_archived']} "
        f"segments archived, {row['segments_verified']} read back byte for byte.",
        "",
        *_truth(row["answers_against_truth"]),
    ]
    return "\n".join(lines)


def _truth(scores: dict[str, dict[str, int]]) -> list[str]:
    """README's table of the procedural cameras' answers against the ground truth."""
    return [
        "| against the ground truth of the procedural cameras | right | best constant answer |",
        "|---|---|---|",
        *(
            f"| {question} ({score['checked']} times) | {score['right'] / score['checked']:.0%} "
            f"| {score['best_constant_right'] / score['checked']:.0%} |"
            for question, score in scores.items()
        ),
    ]


def vit_context_table(row: dict[str, Any]) -> str:
    """README's table of ViT context: neighbours encoded again, or cached keys and values."""
    questions = list(row["rows"][0]["right"])
    lines = [
        "`python -m benchmarks.vit_context`: what pruning costs in answers, "
        f"{len(row['families'])} cameras of {row['seconds']} s (commit {row['commit']}, "
        "[results](benchmarks/results/vit-context.json)); "
        "radius: neighbours of a changed cell that the ViT encodes again; cached (the default): "
        "the ViT attends to cached keys and values of all other cells.",
        "",
        f"| | cells shipped | ViT FLOPs of dense | {' | '.join(questions)} |",
        "|---|---|---|" + "---|" * len(questions),
    ]
    for variant in row["rows"]:
        context = (
            "cached"
            if variant["neighbour_radius"] is None
            else f"radius {variant['neighbour_radius']}"
        )
        name = "nothing pruned" if variant["policy"] == "everything" else context
        right = " | ".join(f"{variant['right'][question]:.1%}" for question in questions)
        lines.append(
            f"| {name} | {variant['kept']:.0%} | {variant['vit_flops_of_dense']:.0%} | {right} |"
        )
    return "\n".join(lines)


def _flops(name: str, spent: float, windows: float, slots: float) -> str:
    dense_cells = " | ".join(f"{dense:.3g} ({_times(dense, spent)})" for dense in (windows, slots))
    return f"| {name} | {spent:.3g} | {dense_cells} |"


def _times(dense: float, spent: float) -> str:
    return f"{dense / spent:.1f} times" if spent else "all"


def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return content


if __name__ == "__main__":
    main()
