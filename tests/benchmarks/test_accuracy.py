"""The accuracy benchmark counts correctly and detects worse answers."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from benchmarks.accuracy.baselines.cacheblend import CacheBlendEngine, evaluate_cacheblend
from benchmarks.accuracy.baselines.recompute import WindowRecomputer, chosen_slots, evs_cells
from benchmarks.accuracy.baselines.simple import trivial_baseline
from benchmarks.accuracy.evaluation import (
    PROBE,
    Answers,
    evaluate,
    evaluate_slots,
    option_text,
)
from benchmarks.accuracy.footage import Footage, render_footage
from benchmarks.accuracy.policies import prune
from benchmarks.accuracy.report.rows import is_trivial
from benchmarks.accuracy.result_files import answers_path
from benchmarks.accuracy.scoring.raw_answers import from_json
from benchmarks.accuracy.scoring.scores import ALL, Tally, score_rows, tallies
from benchmarks.accuracy.streams import Setting, Stream
from benchmarks.accuracy.variants import dense_variant, engine_variant
from benchmarks.result_file import read_compressed, read_result
from codecsight.answers.scoring import build_option_tree
from codecsight.cli.app import app
from codecsight.core.slot import Slot
from codecsight.engine import EngineConfig, QueryView
from codecsight.engine.attention.segments import AttentionSpan
from codecsight.engine.query_context import QueryContext
from codecsight.engine.resources.flops import FlopMeter, count_flops
from codecsight.engine.session import StreamSession
from codecsight.engine.window import slot_time
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model
from codecsight.models.prompt import PromptLayout, Tokens

SHORT = Setting("native", window=4, stride=1, published_anchor=8)
CAMERA = (("fps", 4), ("condition", "calm"))
FAMILIES = ("street", "yard")
PLACES = ("on-left", "on-right", "enter-left", "leave-left", "enter-right", "leave-right")
STATE = (f"{ALL}:about state",)
MARGIN = 0.04
"""Share of all answers; most questions are about things that rarely occur."""


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def footages(model: VisionLanguageModel) -> list[Footage]:
    spec = model.grid_spec(2.0, 48)
    return [
        render_footage(Stream(SHORT, ("calm",), family, 20 + n, 18, CAMERA), spec)
        for n, family in enumerate(FAMILIES)
    ]


@pytest.fixture(scope="module")
def dense(model: VisionLanguageModel, footages: list[Footage]) -> Answers:
    return evaluate(model, footages, dense_variant(SHORT))


Agreement = Callable[..., float]
"""Computes the agreement of answers with the dense variant, over all or some topics."""


@pytest.fixture(scope="module")
def agreement(footages: list[Footage], dense: Answers) -> Agreement:
    def of(answers: Answers, topics: Iterable[str] = (ALL,)) -> float:
        by_name = tallies(footages, answers, dense)
        counts = np.sum([by_name[topic].counts for topic in topics], axis=0)
        return float(Tally(counts).row(np.random.default_rng(0))["agreement"])

    return of


@pytest.fixture(scope="module")
def default(model: VisionLanguageModel, footages: list[Footage]) -> Answers:
    return evaluate(model, footages, engine_variant("tracked", SHORT))


@pytest.fixture(scope="module")
def random(model: VisionLanguageModel, footages: list[Footage]) -> Answers:
    return evaluate(model, footages, engine_variant("random", SHORT))


@pytest.fixture(scope="module")
def random_agreement(agreement: Agreement, random: Answers) -> float:
    """Agreement of as many random cells; a broken variant must be below it."""
    return agreement(random)


def default_config() -> EngineConfig:
    return EngineConfig(SHORT.window, SHORT.stride)


# Broken variants are detected


def test_the_default_agrees_more_than_random_cells_and_trivial_baselines(
    footages: list[Footage],
    dense: Answers,
    agreement: Agreement,
    default: Answers,
    random_agreement: float,
) -> None:
    trivial = [agreement(trivial_baseline(footages, how, dense)) for how in ("repeat", "constant")]
    assert agreement(default) > max(random_agreement, *trivial) + MARGIN


def test_a_policy_that_drops_changed_cells_is_worse_than_random_cells(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Agreement,
    random_agreement: float,
) -> None:
    def static_cells(each: Footage) -> list[Slot]:
        pairs = zip(each.slots["everything"], each.slots["tracked"], strict=True)
        deltas = [prune(whole, ~tracked.kept) for whole, tracked in pairs]
        return [each.slots["everything"][0], *deltas[1:]]

    assert (
        agreement(evaluate_slots(model, footages, default_config(), static_cells))
        < random_agreement
    )


def test_a_policy_that_shifts_cells_is_worse_than_random_cells_on_state_questions(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Agreement,
    default: Answers,
    random: Answers,
) -> None:
    def shifted(each: Footage) -> list[Slot]:
        return [
            replace(slot, patches=np.roll(slot.patches, 1, axis=0))
            for slot in each.slots["tracked"]
        ]

    broken = evaluate_slots(model, footages, default_config(), shifted)
    assert agreement(broken, STATE) < agreement(random, STATE)
    assert agreement(broken) < (agreement(default) + agreement(random)) / 2


@pytest.mark.parametrize("error", ["one column off", "position of the next token"])
def test_tokens_one_position_off_lose_most_of_the_lead_on_place_questions(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Agreement,
    default: Answers,
    random: Answers,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
) -> None:
    correct = PromptLayout.slot

    def wrong(layout: PromptLayout, time: float, kept: NDArray[np.bool_]) -> Tokens:
        tokens = correct(layout, time, kept)
        positions, visual = tokens.positions.clone(), tokens.visual
        if error == "position of the next token":
            positions[:, visual] = positions[:, visual].roll(1, dims=1)
        elif not kept.all():  # shifting all tokens together changes nothing
            positions[2, visual] += 1
        return replace(tokens, positions=positions)

    monkeypatch.setattr(PromptLayout, "slot", wrong)
    broken = evaluate(model, footages, engine_variant("tracked", SHORT))
    halfway = (agreement(default, PLACES) + agreement(random, PLACES)) / 2
    assert agreement(broken, PLACES) < halfway


def test_an_engine_that_reads_another_stream_s_keys_is_worse_than_random_cells(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Agreement,
    random_agreement: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sessions_by_stream: dict[str, StreamSession] = {}

    def wrong_stream(session: StreamSession) -> QueryContext:
        sessions_by_stream[session.stream] = session
        others = [one for name, one in sessions_by_stream.items() if name != session.stream]
        rows = (others or [session])[0].paged.kv_indices
        return QueryContext(AttentionSpan.past(rows), np.arange(0))

    monkeypatch.setattr(StreamSession, "_build_query_context", wrong_stream)
    config = replace(default_config(), query_view=QueryView.LAST_SLOT)
    mixed = evaluate_slots(model, footages, config, lambda each: each.slots["everything"])
    assert agreement(mixed) < random_agreement


# Accounting


def test_recomputed_windows_give_the_dense_variant_s_answers(
    model: VisionLanguageModel, footages: list[Footage], dense: Answers
) -> None:
    recomputer, each = WindowRecomputer(model), footages[0]
    for window in each.windows[::4]:
        chosen = chosen_slots("last-frames", SHORT.window, SHORT.window, each, window.index)
        scored, _, cells = recomputer.answer(each, chosen, list(each.questions), PROBE)
        expected = dense.answers[each.stream.url, window.index]
        assert [option_text(one.value) for one in scored] == [
            expected[question] for question in each.questions
        ]
        assert cells == SHORT.window * each.grid.cells


def test_baselines_are_charged_the_operations_that_torch_counts(
    model: VisionLanguageModel, footages: list[Footage]
) -> None:
    recomputer, each = WindowRecomputer(model), footages[0]
    chosen = evs_cells(SHORT.window, 0.4, each, each.windows[0].index)
    charged = []

    def run() -> None:
        charged.append(recomputer.answer(each, chosen, [PROBE], PROBE)[1])

    assert count_flops(run) == charged[0].total
    assert sum(int(mask.sum()) for _, mask in chosen) == round(0.4 * 4 * each.grid.cells)


def test_the_cost_covers_full_windows_with_one_question_each(
    model: VisionLanguageModel, footages: list[Footage], dense: Answers
) -> None:
    each = footages[0]
    account = dense.total_cost([each])
    option_tree = build_option_tree([PROBE], model)
    meter = FlopMeter(model)
    slots = each.slots["everything"][-SHORT.window :]
    layout = model.layout
    size = len(layout.prefix)
    size += sum(len(layout.slot(slot_time(slot.times), slot.kept)) for slot in slots)
    one = SHORT.window * meter.vit(slots[0].kept) + meter.llm(size, size)
    one += meter.llm(
        len(option_tree.tree), size + len(option_tree.tree), len(option_tree.logit_indices)
    )
    assert account.dense.total == pytest.approx(one * len(each.windows), rel=0.02)
    assert account.tokens_ratio == 1.0


def test_cacheblend_with_all_tokens_equals_the_dense_variant(
    model: VisionLanguageModel, footages: list[Footage], dense: Answers
) -> None:
    config = EngineConfig(
        4,
        1,
        refresh="none",
        query_view=QueryView.LAST_SLOT,
        vision_kv_cache=False,
        neighbour_radius=0,
    )
    engine = CacheBlendEngine(model, config, share=1.0)
    blended = evaluate_cacheblend(engine, footages[:1], lambda each: each.slots["everything"])
    stream = footages[0].stream.url
    assert blended.answers == {key: dense.answers[key] for key in dense.answers if key[0] == stream}


def test_uplink_bytes_shrink_with_the_kept_cells(footages: list[Footage]) -> None:
    assert footages[0].uplink["tracked"] < 0.6 * footages[0].uplink["everything"]


def test_all_policies_send_the_same_pixels_of_the_same_frames(footages: list[Footage]) -> None:
    slots = footages[0].slots
    for whole, part in zip(slots["everything"], slots["random"], strict=True):
        assert part.times == whole.times
        assert np.array_equal(part.patches, whole.patches[part.kept.ravel()])


@pytest.mark.timeout(900)  # half a minute on an idle core
def test_a_quick_run_returns_every_kind_of_row(tmp_path: Path) -> None:
    file = tmp_path / "accuracy.json"
    done = CliRunner().invoke(app, ["bench", "accuracy", "--quick", "--json", str(file)])
    assert done.exit_code == 0, done.output
    result = read_result(file)
    assert result["meta"]["commit"]
    pooled = [row for row in result["rows"] if row["question"] == ALL]
    assert {row["setting"] for row in pooled} == {"published", "native"}
    assert sum(row["default"] for row in pooled) == len({row["condition"] for row in pooled}) + 1
    keys = {"f1", "f1_dense", "agreement", "agreement_low", "flops_ratio", "tokens_ratio"}
    for row in pooled:
        assert keys <= row.keys()
        assert (row["flops_ratio"] == 0) == is_trivial(row)
        assert row["agreement_low"] <= row["agreement"] <= row["agreement_high"]
    for setting in ("published", "native"):
        rows = [r for r in pooled if (r["setting"], r["condition"]) == (setting, "plain")]
        default = next(row for row in rows if row["default"])
        others = [row for row in rows if row["change"] == "random" or is_trivial(row)]
        assert default["agreement"] > max(row["agreement"] for row in others) + 0.02
        assert default["flops_ratio"] < 0.3
        assert 0 < default["uplink_bytes_per_s"] < 10_000
    assert {row["setting"] for row in result["text"]} == {"published", "native"}
    assert_rows_follow_from_answers(result["rows"], read_compressed(answers_path(file)))


def assert_rows_follow_from_answers(
    rows: list[dict[str, Any]], every: dict[str, list[dict[str, Any]]]
) -> None:
    """Compute the scores of each row again from the raw answers."""
    found = {}
    for batch in every["answers"]:
        streams, answers = from_json(batch)
        dense = next(iter(answers.values()))
        for condition in {each for stream in streams for each in stream.conditions}:
            counted = [each for each in streams if condition in each.conditions]
            for variant, given in answers.items():
                where = batch["setting"], condition, *variant
                for scores in score_rows(counted, given, dense):
                    found[*where, scores["question"]] = scores
    names = ("setting", "condition", "change", "kv", "question")
    assert len(found) == len(every["rows"]) > len(rows) > 0
    for row in [*rows, *every["rows"]]:
        scores = found[tuple(row[name] for name in names)]
        assert {name: row[name] for name in scores} == scores
