"""Run the accuracy benchmark: every variant in every setting and condition, as result rows.

A variant is a change policy with a KV policy. The streams of one setting (or one stress condition)
are rendered together, evaluated under each variant, and compared with the dense variant.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import torch

from benchmarks.accuracy import variants
from benchmarks.accuracy.baselines.cacheblend import (
    SHARE,
    CacheBlendEngine,
    evaluate_cacheblend,
    share_for_budget,
)
from benchmarks.accuracy.baselines.recompute import WindowRecomputer
from benchmarks.accuracy.baselines.simple import evaluate_recomputed, trivial_baseline
from benchmarks.accuracy.evaluation import Answers, evaluate
from benchmarks.accuracy.footage import Footage, render_footage
from benchmarks.accuracy.result_files import save as save
from benchmarks.accuracy.scoring import descriptions, raw_answers, stale_cells
from benchmarks.accuracy.scoring.scores import SEED, score_rows
from benchmarks.accuracy.streams import (
    FULL,
    NATIVE,
    PUBLISHED,
    QUICK,
    RATE,
    Setting,
    Size,
    Stream,
    streams,
)
from benchmarks.accuracy.variants import Variant
from benchmarks.record import origin
from codecsight.core.grid import GridSpec
from codecsight.engine import EngineConfig
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model

MAX_CELLS = 48
"""Upper bound on the cells of a slot, as in the default configuration."""

OnProgress = Callable[[str], None]
Rows = list[dict[str, Any]]


def run(quick: bool, on_progress: OnProgress = print) -> dict[str, Any]:
    """Measure everything. `quick` is for tests: few streams, plain conditions, few variants."""
    return measure(QUICK if quick else FULL, quick, on_progress)


def measure(size: Size, quick: bool, on_progress: OnProgress = print) -> dict[str, Any]:
    """Run over `size` streams; returns `meta` and the lists `rows`, `cells`, `text`, `answers`.

    `rows` hold the scores by variant and question, `answers` every answer by batch.
    """
    torch.set_num_threads(1)
    started, model = time.process_time(), load_model(device="cpu")
    all_streams = streams(size)
    rows, cell_rows, text, raw = Rows(), Rows(), Rows(), Rows()
    spec = model.grid_spec(RATE, MAX_CELLS)
    for (setting, plain), group in groupby(all_streams, lambda each: (each.setting, each.plain)):
        for batch in _batches(list(group), plain):
            footages = _render(spec, batch, on_progress)
            chosen = _variants(setting, plain, quick)
            answers = _evaluate_batch(model, footages, chosen, on_progress)
            rows += _batch_rows(spec, footages, answers)
            raw.append(raw_answers.to_json(footages, answers))
            on_progress(f"{_batch_name(batch)}: cells, descriptions")
            cell_rows += stale_cells.rows(footages)
            if setting in (PUBLISHED, NATIVE) and plain:
                text += descriptions.rows(model, footages)
    if not quick:
        on_progress("vtest: cells")
        cell_rows += stale_cells.real(spec)
    meta = {
        **origin(),
        "quick": quick,
        "model": model.name,
        "default": {"change": variants.DEFAULT_CHANGE, "kv": variants.kv_name(EngineConfig())},
        "bootstrap_seed": SEED,
        "streams": [{"url": each.url, "setting": each.setting.name} for each in all_streams],
        "cpu_minutes": round((time.process_time() - started) / 60, 1),
    }
    return {"meta": meta, "rows": rows, "cells": cell_rows, "text": text, "answers": raw}


def _batches(group: list[Stream], plain: bool) -> Iterator[list[Stream]]:
    """Streams held in memory together: all plain streams of a setting, or one stress condition."""
    if plain:
        yield group
    else:
        for _, each in groupby(group, lambda stream: stream.conditions):
            yield list(each)


def _variants(setting: Setting, plain: bool, quick: bool) -> list[Variant]:
    if quick:
        return variants.quick_variants(setting)
    if setting.name == "published-40s":
        return variants.full_length_variants(setting)
    return variants.all_variants(setting) if plain else variants.stress_variants(setting)


def _batch_name(batch: Sequence[Stream]) -> str:
    return f"{batch[0].setting.name}, {batch[0].conditions[0]}"


def _render(spec: GridSpec, batch: Sequence[Stream], on_progress: OnProgress) -> list[Footage]:
    footages = []
    for number, stream in enumerate(batch, 1):
        on_progress(f"{_batch_name(batch)}: rendering {number} of {len(batch)}")
        footages.append(render_footage(stream, spec))
    return footages


def _evaluate_batch(
    model: VisionLanguageModel,
    footages: Sequence[Footage],
    chosen: Sequence[Variant],
    on_progress: OnProgress,
) -> dict[Variant, Answers]:
    """Answers of every variant on these streams, the dense variant first."""
    batch = [each.stream for each in footages]
    setting, name = batch[0].setting, _batch_name(batch)
    dense_variant = variants.dense_variant(setting)
    on_progress(f"{name}: dense")
    dense = evaluate(model, footages, dense_variant)
    # The engine encodes each slot once; the dense model is charged for encoding every window again.
    for url, cost in dense.costs.items():
        dense.costs[url] = replace(cost, spent=cost.dense)
    answers, recomputer = {dense_variant: dense}, WindowRecomputer(model)
    # The default goes first: baselines get the budget that it used.
    for number, variant in enumerate(sorted(chosen, key=lambda each: not each.default), 1):
        on_progress(f"{name}: {variant.change}, {variant.kv} ({number} of {len(chosen)})")
        answers[variant] = _evaluate_variant(model, recomputer, footages, variant, answers)
    return answers


def _batch_rows(
    spec: GridSpec, footages: Sequence[Footage], answers: dict[Variant, Answers]
) -> Rows:
    """Rows of these streams, for every condition that one of them counts towards."""
    rows, dense = Rows(), next(iter(answers.values()))
    conditions = [condition for each in footages for condition in each.stream.conditions]
    for condition in dict.fromkeys(conditions):
        counted = [each for each in footages if condition in each.stream.conditions]
        for variant, given in answers.items():
            rows += _rows(spec, condition, counted, variant, given, dense)
    return rows


def _evaluate_variant(
    model: VisionLanguageModel,
    recomputer: WindowRecomputer,
    footages: Sequence[Footage],
    variant: Variant,
    answers: dict[Variant, Answers],
) -> Answers:
    """Answers of one variant. `answers` holds the earlier ones, the dense variant's first."""
    if variant.config is not None:
        return evaluate(model, footages, variant)
    if variant.change in ("repeat", "constant"):
        return trivial_baseline(footages, variant.change, next(iter(answers.values())))
    if variant.change == variants.DEFAULT_CHANGE:
        return _evaluate_cacheblend(model, footages, variant, answers)
    default = next(given for each, given in answers.items() if each.default)
    return evaluate_recomputed(recomputer, footages, variant, default)


def _evaluate_cacheblend(
    model: VisionLanguageModel,
    footages: Sequence[Footage],
    variant: Variant,
    answers: dict[Variant, Answers],
) -> Answers:
    """Refresh tokens: the published share, or the share that costs as much as `variant.like`."""
    setting, share = footages[0].stream.setting, SHARE
    if variant.like is not None:
        tracked = partial(variants.engine_variant, variants.DEFAULT_CHANGE, setting)
        known = [
            tracked(refresh="none"),
            variants.cacheblend_variants()[0],
            tracked(refresh=variant.like),
        ]
        spent = [answers[each].total_cost(footages).spent.llm for each in known]
        no_refresh, published, target = spent
        share = share_for_budget(
            no_refresh, published, target, model.kv.layers, variant.search_free
        )
    config = EngineConfig(setting.window, setting.stride, refresh="none")
    return evaluate_cacheblend(
        CacheBlendEngine(model, config, share, variant.search_free), footages
    )


def _rows(
    spec: GridSpec,
    condition: str,
    footages: Sequence[Footage],
    variant: Variant,
    answers: Answers,
    dense: Answers,
) -> Rows:
    """One row for each question topic, and one for all of them together."""
    common = {
        "setting": footages[0].stream.setting.name,
        "condition": condition,
        "change": variant.change,
        "kv": variant.kv,
        "default": variant.default,
    }
    cost = answers.total_cost(footages)
    cost_columns = {
        "flops_ratio": round(cost.flops_ratio, 4),
        "vit_flops_ratio": round(cost.spent.vit / cost.dense.vit, 4),
        "llm_flops_ratio": round(cost.spent.llm / cost.dense.llm, 4),
        "tokens_ratio": round(cost.tokens_ratio, 4),
        "uplink_bytes_per_s": _uplink(spec, footages, variant),
    }
    scores = score_rows(footages, answers, dense)
    return [{**common, **row, **cost_columns} for row in scores]


def _uplink(spec: GridSpec, footages: Sequence[Footage], variant: Variant) -> int:
    """Bytes per second and stream. Baselines that choose cells in the cloud receive everything;
    trivial baselines receive nothing.
    """
    if variant in variants.trivial_baselines():
        return 0
    change = variant.change if variant.change in footages[0].uplink else "everything"
    seconds = sum(len(each.slots[change]) * spec.slot_seconds for each in footages)
    return round(sum(each.uplink[change] for each in footages) / seconds)
