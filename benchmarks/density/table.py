"""The density results as README shows them."""

from typing import Any

NAMES = {
    "transformers": "`transformers`, `generate` on each window",
    "dense": "this engine, each window anew",
    "evs": "this engine, each window anew, 70% of tokens dropped after the ViT (EVS)",
    "published": "this engine, the published policy",
    "codecsight-whole": "CodecSight, every slot whole",
    "codecsight-often": "CodecSight, whole every 2nd slot",
    "codecsight": "**CodecSight**",
}


def density_table(result: dict[str, Any]) -> str:
    """Streams, throughput and waiting of all systems."""
    systems = list(dict.fromkeys(row["system"] for row in result["rows"]))
    levels = sorted({row["concurrency"] for row in result["rows"]})
    lines = [
        "`codecsight bench density`: procedural cameras of which each brings "
        f"{result['slots_per_s_of_a_stream']:.0f} slot a second (two pictures) and is asked one "
        f"question every {result['stride']} slots about the last {result['window']}; "
        f"{result['device']} of an {result['machine']['processor']} "
        f"(commit {result['commit']}, [results](benchmarks/results/density-cpu.json)). Streams "
        "within the limit are those whose first token comes within "
        f"{result['ttft_limit_ms'] / 1e3:.0f} s, 99 times of 100.",
        "",
        "| | streams within the limit | slots a second at "
        f"{', '.join(map(str, levels))} streams | out of the blue, ms to the first token | "
        "core-seconds per camera-hour | FLOPs per slot | KV per stream | same answer as dense |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(result, name, levels) for name in systems),
    ]
    return "\n".join(lines)


def _line(result: dict[str, Any], name: str, levels: list[int]) -> str:
    rows = {row["concurrency"]: row for row in result["rows"] if row["system"] == name}
    rates = ", ".join(
        f"{rows[level]['slots_per_s']:.0f}" if level in rows else "not run" for level in levels
    )
    row, same = rows[16], result["agreement_with_dense"][name]
    return (
        f"| {NAMES[name]} | {row['streams_at_limit']} | {rates} | "
        f"{result['adhoc_ttft_ms'][name]:.1f} | {row['core_s_per_camera_hour']:.0f} | "
        f"{row['flops_per_slot'] / 1e9:.2f} G | {row['kv_bytes_per_stream'] / 1e6:.2f} MB | "
        f"{same['share']:.0%} of {same['windows']} |"
    )
