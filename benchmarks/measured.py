"""The page docs/measured.md: one section for each benchmark, made from the committed results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.accuracy.report import peers
from benchmarks.density.table import density_table
from benchmarks.edge import tables as edge
from benchmarks.markdown import wrap_prose

Result = dict[str, Any]
HEAD = """\
# Measured results

`python -m benchmarks.tables` generates this page from the files in \
[benchmarks/results](../benchmarks/results); `--check` compares it with them. Every figure was \
measured on CPU cores, with the included small model and procedural cameras unless its section \
says otherwise. Absolute times depend on the machine; ratios are easier to transfer."""

OTHER = """\
## Further results

Described where their subject is.

| benchmark | command | result | described in |
|---|---|---|---|
| KV eviction, refresh and query view | `python -m benchmarks.windows` | \
[windows](../benchmarks/results/windows.json) | [engine](engine.md) |
| where the FLOPs go | `python -m benchmarks.operations` | \
[operations](../benchmarks/results/operations.json) | [engine](engine.md) |
| leaks of memory and KV blocks | `python -m benchmarks.soak leak` | \
[soak-leak](../benchmarks/results/soak-leak.json) | [engine](engine.md) |
| memory over many windows | `python -m benchmarks.soak memory` | \
[soak-memory](../benchmarks/results/soak-memory.json) | [engine](engine.md) |
| overload and a flooding stream | `python -m benchmarks.soak overload` | \
[soak-overload](../benchmarks/results/soak-overload.json) | [engine](engine.md) |
| a day of video at the edge | `python -m benchmarks.soak day` | \
[soak-day](../benchmarks/results/soak-day.json) | [codec signals](codec-signals.md) |
| pixel loops compared with OpenCV | `python -m benchmarks.opencv_comparison` | \
[opencv](../benchmarks/results/opencv.json) | [codec signals](codec-signals.md) |"""


@dataclass(frozen=True, slots=True)
class Section:
    """A benchmark: heading, name of its result, command, and its tables."""

    heading: str
    name: str
    command: str
    tables: Callable[[Result], str]

    def text(self, result: Result) -> str:
        """Return heading, command, result file and tables."""
        meta = result.get("meta", result)
        source = (
            f"`{self.command}`: [results](../benchmarks/results/{self.name}.json), "
            f"commit {meta['commit']}, {meta['machine']['processor']}."
        )
        return f"## {self.heading}\n\n{source}\n\n{self.tables(result)}"


def page(results: Mapping[str, Result]) -> str:
    """Return the whole page; `results` by the names in RESULT_NAMES."""
    sections = [each.text(results[each.name]) for each in SECTIONS]
    return wrap_prose("\n\n".join([HEAD, *sections, OTHER])) + "\n"


def demo_table(row: dict[str, Any]) -> str:
    """Tables of one minute of the demo."""
    parts = row["flops_by_part"]
    spent, windows, slots = (parts[name] for name in ("spent", "dense_windows", "dense_slots"))
    lines = [
        f"{len(row['cameras'])} cameras watched for {row['seconds']:.0f} s on "
        f"{row['machine']['cores']} cores. The dense models get the same streams and questions and "
        "prune nothing; FLOPs are counted.",
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
    """Table of the procedural cameras' answers against the ground truth."""
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
    """Table of ViT context: neighbours encoded again, or cached keys and values."""
    questions = list(row["rows"][0]["right"])
    lines = [
        f"What pruning costs in answers: {len(row['families'])} cameras of {row['seconds']} s. "
        "Radius: neighbours of a changed cell that the ViT encodes again. Cached (the default): "
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


def startup_table(result: Result) -> str:
    """CPU time, memory and processes of a cloud and a site until they work."""
    lines = [
        "From the start until the cloud serves, and until a site with three cameras has been "
        "answered for each. Image code is compiled already; memory is PSS.",
        "",
        "| | CPU s | wall s | memory MB | processes |",
        "|---|---|---|---|---|",
    ]
    for name in ("cloud", "site"):
        row = result[name]
        count = sum(kind["count"] for kind in row["processes"].values())
        times = f"{row['cpu_seconds']} | {row['wall_seconds']}"
        lines.append(f"| {name} | {times} | {row['pss_mb']:,} | {count} |")
    return "\n".join(lines)


def uploads_table(result: Result) -> str:
    """How long the uploads of a minute of many cameras take."""
    lines = [
        f"A minute of {result['rows'][0]['cameras']} cameras at 2 Mbit/s, to an S3 server on the "
        "same machine: it keeps up below 60 s. CPU time is that of the archiver alone.",
        "",
        "| uploads at a time | segments | MB | s | CPU ms per segment |",
        "|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        size = f"{row['segments']} | {row['megabytes']:.0f}"
        lines.append(
            f"| {row['parallel']} | {size} | {row['seconds']} | {row['cpu_ms_per_segment']} |"
        )
    return "\n".join(lines)


SECTIONS = (
    Section("One minute of the demo", "demo", "python -m benchmarks.demo", demo_table),
    Section(
        "Answers compared with the dense model",
        "accuracy",
        "python -m benchmarks.accuracy",
        peers.systems_table,
    ),
    Section(
        "Context of changed cells in the ViT",
        "vit-context",
        "python -m benchmarks.vit_context",
        vit_context_table,
    ),
    Section(
        "Detection of changed cells at the edge",
        "edge",
        "codecsight bench edge --json benchmarks/results/edge.json",
        edge.summary,
    ),
    Section(
        "Streams per device",
        "density-cpu",
        "codecsight bench density --json benchmarks/results/density-cpu.json",
        density_table,
    ),
    Section(
        "Starting a cloud and a site", "startup", "python -m benchmarks.startup", startup_table
    ),
    Section("Uploads of many cameras", "uploads", "python -m benchmarks.uploads", uploads_table),
)
RESULT_NAMES = tuple(section.name for section in SECTIONS)
