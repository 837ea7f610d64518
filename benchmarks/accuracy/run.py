"""The whole bench: every pair of policies in every setting and condition, as rows."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy import arms as pairs
from benchmarks.accuracy import cells, words
from benchmarks.accuracy.arms import Arm
from benchmarks.accuracy.baselines import guess, hear_fresh
from benchmarks.accuracy.blend import SHARE, BlendEngine, share_for
from benchmarks.accuracy.filming import Footage, footage
from benchmarks.accuracy.fresh import Fresh
from benchmarks.accuracy.hearing import Heard, hear, hear_blended
from benchmarks.accuracy.scores import ALL, macro, tallies
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
from benchmarks.record import origin
from codecsight.core.grid import GridSpec
from codecsight.engine import EngineConfig
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model

MAX_CELLS = 48
SEED = 7

Say = Callable[[str], None]
Rows = list[dict[str, Any]]


def run(quick: bool, say: Say = print) -> dict[str, Any]:
    """Measure everything. `quick` is for tests: few streams, plain conditions, few pairs."""
    return measure(QUICK if quick else FULL, quick, say)


def measure(size: Size, quick: bool, say: Say = print) -> dict[str, Any]:
    """A run of any size."""
    torch.set_num_threads(1)
    started, model = time.process_time(), load_model(device="cpu")
    watched, rows, cell_rows, text = streams(size), Rows(), Rows(), Rows()
    spec = model.grid_spec(RATE, MAX_CELLS)
    for (setting, plain), group in groupby(watched, lambda each: (each.setting, each.plain)):
        for batch in _batches(list(group), plain):
            footages = _filmed(spec, batch, say)
            rows += _answers(model, spec, footages, _arms(setting, plain, quick), say)
            say(f"{_name(batch)}: cells, words")
            cell_rows += cells.rows(footages)
            if setting in (PUBLISHED, NATIVE) and plain:
                text += words.rows(model, footages)
    if not quick:
        say("vtest: cells")
        cell_rows += cells.real(spec)
    meta = {
        **origin(),
        "quick": quick,
        "model": model.name,
        "default": {"change": pairs.DEFAULT_CHANGE, "kv": pairs.kv_name(EngineConfig())},
        "bootstrap_seed": SEED,
        "streams": [{"url": each.url, "setting": each.setting.name} for each in watched],
        "cpu_minutes": round((time.process_time() - started) / 60, 1),
    }
    return {"meta": meta, "rows": rows, "cells": cell_rows, "text": text}


def _batches(group: list[Stream], plain: bool) -> Iterator[list[Stream]]:
    """What is held in memory at once: a setting's plain streams, or one condition's."""
    if plain:
        yield group
    else:
        for _, each in groupby(group, lambda stream: stream.conditions):
            yield list(each)


def _arms(setting: Setting, plain: bool, quick: bool) -> list[Arm]:
    if quick:
        return pairs.quick_arms(setting)
    if setting.name == "published-40s":
        return pairs.few_arms(setting)
    return pairs.every_arm(setting) if plain else pairs.stress_arms(setting)


def _name(batch: Sequence[Stream]) -> str:
    return f"{batch[0].setting.name}, {batch[0].conditions[0]}"


def _filmed(spec: GridSpec, batch: Sequence[Stream], say: Say) -> list[Footage]:
    footages = []
    for number, stream in enumerate(batch, 1):
        say(f"{_name(batch)}: filming {number} of {len(batch)}")
        footages.append(footage(stream, spec))
    return footages


def _answers(
    model: VisionLanguageModel,
    spec: GridSpec,
    footages: Sequence[Footage],
    arms: Sequence[Arm],
    say: Say,
) -> Rows:
    """The rows of these streams in all the conditions that they count for."""
    batch = [each.stream for each in footages]
    setting, name = batch[0].setting, _name(batch)
    dense_arm = pairs.reference(setting)
    say(f"{name}: dense")
    dense = hear(model, footages, dense_arm)
    for url, account in dense.accounts.items():  # the dense model encodes every window anew
        dense.accounts[url] = replace(account, spent=account.dense)
    heard, fresh = {dense_arm: dense}, Fresh(model)
    for number, arm in enumerate(sorted(arms, key=lambda each: not each.default), 1):
        say(f"{name}: {arm.change}, {arm.kv} ({number} of {len(arms)})")
        heard[arm] = _heard(model, fresh, footages, arm, heard)
    rows = Rows()
    for condition in dict.fromkeys(each for stream in batch for each in stream.conditions):
        chosen = [each for each in footages if condition in each.stream.conditions]
        for arm, said in heard.items():
            rows += _rows(spec, condition, chosen, arm, said, dense)
    return rows


def _heard(
    model: VisionLanguageModel,
    fresh: Fresh,
    footages: Sequence[Footage],
    arm: Arm,
    heard: dict[Arm, Heard],
) -> Heard:
    if arm.config is not None:
        return hear(model, footages, arm)
    if arm.change in ("repeat", "constant"):
        return guess(footages, arm.change, next(iter(heard.values())))
    if arm.change == pairs.DEFAULT_CHANGE:
        return _blended(model, footages, arm, heard)
    ours = next(said for each, said in heard.items() if each.default)
    return hear_fresh(fresh, footages, arm, ours)


def _blended(
    model: VisionLanguageModel, footages: Sequence[Footage], arm: Arm, heard: dict[Arm, Heard]
) -> Heard:
    """Tokens refreshed: the published share, or what a refresh policy of ours costs."""
    setting, share = footages[0].stream.setting, SHARE
    if arm.like is not None:
        tracked = partial(pairs.engine_arm, pairs.DEFAULT_CHANGE, setting)
        known = [tracked(refresh="none"), pairs.blends()[0], tracked(refresh=arm.like)]
        spent = [heard[each].account(footages).spent.llm for each in known]
        free, published, target = spent
        share = share_for(free, published, target, model.kv.layers, arm.search_free)
    config = EngineConfig(setting.window, setting.stride, refresh="none")
    return hear_blended(BlendEngine(model, config, share, arm.search_free), footages)


def _rows(
    spec: GridSpec,
    condition: str,
    footages: Sequence[Footage],
    arm: Arm,
    said: Heard,
    dense: Heard,
) -> Rows:
    """A row for each question, and for all together."""
    setting = footages[0].stream.setting
    common = {
        "setting": setting.name,
        "condition": condition,
        "change": arm.change,
        "kv": arm.kv,
        "default": arm.default,
    }
    account = said.account(footages)
    cost = {
        "flops_ratio": round(account.flops_ratio, 4),
        "vit_flops_ratio": round(account.spent.vit / account.dense.vit, 4),
        "llm_flops_ratio": round(account.spent.llm / account.dense.llm, 4),
        "tokens_ratio": round(account.tokens_ratio, 4),
        "uplink_bytes_per_s": _uplink(spec, footages, arm),
    }
    tallied = tallies(footages, said, dense)
    rng = np.random.default_rng(SEED)
    rows = [
        {**common, "question": name, **tally.row(rng), **cost}
        for name, tally in sorted(tallied.items())
    ]
    topics = [row for row in rows if not row["question"].startswith(ALL)]
    for row in rows:
        if row["question"] == ALL:
            row["f1_macro"] = macro(topics, "f1")
            row["f1_dense_macro"] = macro(topics, "f1_dense")
            row["windows"] = sum(len(each.windows) for each in footages)
            row["streams"] = len(footages)
    return rows


def _uplink(spec: GridSpec, footages: Sequence[Footage], arm: Arm) -> int:
    """Bytes per second and stream; baselines that choose in the cloud are sent everything, and who
    guesses is sent nothing.
    """
    if arm in pairs.guesses():
        return 0
    change = arm.change if arm.change in footages[0].uplink else "everything"
    seconds = sum(len(each.slots[change]) * spec.slot_seconds for each in footages)
    return round(sum(each.uplink[change] for each in footages) / seconds)
