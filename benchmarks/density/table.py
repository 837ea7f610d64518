"""Table of the density results."""

from typing import Any

NAMES = {
    "transformers": "`transformers`, `generate` on each window",
    "dense": "this engine, windows recomputed",
    "evs": "this engine, windows recomputed, 70% of tokens dropped after the ViT (EVS)",
    "published": "this engine, published policy",
    "codecsight-unpruned": "CodecSight, nothing pruned",
    "codecsight-anchor-2": "CodecSight, anchor every 2 slots",
    "codecsight": "**CodecSight**",
}


def density_table(result: dict[str, Any]) -> str:
    """Return the table of streams, throughput and latency of all systems."""
    systems = list(dict.fromkeys(row["system"] for row in result["rows"]))
    levels = sorted({row["concurrency"] for row in result["rows"]})
    lines = [
        f"Procedural cameras, each with {result['stream_slots_per_s']:.0f} slot (two frames) a "
        f"second and one question every {result['stride']} slots about the last "
        f"{result['window']} slots; {result['device']}. Limit: p99 time to first token at most "
        f"{result['ttft_limit_ms'] / 1e3:.0f} s.",
        "",
        "| | streams within the limit | slots/s at "
        f"{', '.join(map(str, levels))} streams | ad-hoc TTFT, ms | "
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
