"""The bench of answers counts rightly, and notices when answers get worse."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from benchmarks.accuracy.baselines.cacheblend import CacheBlendEngine
from benchmarks.accuracy.baselines.recompute import WindowRecomputer, chosen_slots, evs_cells
from benchmarks.accuracy.baselines.simple import trivial_baseline
from benchmarks.accuracy.evaluation import (
    PROBE,
    Answers,
    evaluate,
    evaluate_cacheblend,
    evaluate_slots,
    option_text,
)
from benchmarks.accuracy.footage import Footage, render_footage
from benchmarks.accuracy.policies import thinned
from benchmarks.accuracy.report.rows import is_trivial
from benchmarks.accuracy.scoring.scores import ALL, Tally, tallies
from benchmarks.accuracy.streams import Setting, Stream
from benchmarks.accuracy.variants import dense_variant, engine_variant
from codecsight.answers.scoring import build_option_tree
from codecsight.cli.app import app
from codecsight.core.slot import Slot
from codecsight.engine import EngineConfig, QueryView
from codecsight.engine import session as sessions
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
CLEARLY = 0.04
"""Of all answers: most questions are about things that are hardly ever there."""


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


Judge = Callable[..., float]
"""Agreement of what was heard with the dense model, pooled or in some topics."""


@pytest.fixture(scope="module")
def agreement(footages: list[Footage], dense: Answers) -> Judge:
    def of(heard: Answers, topics: Iterable[str] = (ALL,)) -> float:
        found = tallies(footages, heard, dense)
        counts = np.sum([found[topic].counts for topic in topics], axis=0)
        return float(Tally(counts).row(np.random.default_rng(0))["agreement"])

    return of


@pytest.fixture(scope="module")
def ours(model: VisionLanguageModel, footages: list[Footage]) -> Answers:
    return evaluate(model, footages, engine_variant("tracked", SHORT))


@pytest.fixture(scope="module")
def random(model: VisionLanguageModel, footages: list[Footage]) -> Answers:
    return evaluate(model, footages, engine_variant("random", SHORT))


@pytest.fixture(scope="module")
def chance(agreement: Judge, random: Answers) -> float:
    """What as many random cells come to: who errs must fall below that."""
    return agreement(random)


def shipped() -> EngineConfig:
    return EngineConfig(SHORT.window, SHORT.stride)


# The bench can fail


def test_ours_agrees_more_often_than_chance_and_than_who_does_not_look(
    footages: list[Footage], dense: Answers, agreement: Judge, ours: Answers, chance: float
) -> None:
    blind = [agreement(trivial_baseline(footages, how, dense)) for how in ("repeat", "constant")]
    assert agreement(ours) > max(chance, *blind) + CLEARLY


def test_a_policy_that_drops_what_moves_is_worse_than_chance(
    model: VisionLanguageModel, footages: list[Footage], agreement: Judge, chance: float
) -> None:
    def blind(each: Footage) -> list[Slot]:
        pairs = zip(each.slots["everything"], each.slots["tracked"], strict=True)
        still = [thinned(whole, ~seen.kept) for whole, seen in pairs]
        return [each.slots["everything"][0], *still[1:]]

    assert agreement(evaluate_slots(model, footages, shipped(), blind)) < chance


def test_a_policy_that_takes_a_cell_for_its_neighbour_is_worse_than_chance_at_what_is_there(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Judge,
    ours: Answers,
    random: Answers,
) -> None:
    def shifted(each: Footage) -> list[Slot]:
        return [
            replace(slot, patches=np.roll(slot.patches, 1, axis=0))
            for slot in each.slots["tracked"]
        ]

    broken = evaluate_slots(model, footages, shipped(), shifted)
    assert agreement(broken, STATE) < agreement(random, STATE)
    assert agreement(broken) < (agreement(ours) + agreement(random)) / 2


@pytest.mark.parametrize("error", ["one column on", "where the next token stands"])
def test_tokens_one_position_off_cost_most_of_the_lead_in_questions_about_places(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Judge,
    ours: Answers,
    random: Answers,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
) -> None:
    right = PromptLayout.slot

    def wrong(layout: PromptLayout, time: float, kept: NDArray[np.bool_]) -> Tokens:
        tokens = right(layout, time, kept)
        places, visual = tokens.positions.clone(), tokens.visual
        if error == "where the next token stands":
            places[:, visual] = places[:, visual].roll(1, dims=1)
        elif not kept.all():  # all of them together would stand as before
            places[2, visual] += 1
        return replace(tokens, positions=places)

    monkeypatch.setattr(PromptLayout, "slot", wrong)
    broken = evaluate(model, footages, engine_variant("tracked", SHORT))
    halfway = (agreement(ours, PLACES) + agreement(random, PLACES)) / 2
    assert agreement(broken, PLACES) < halfway


def test_an_engine_that_reuses_another_streams_keys_is_worse_than_chance(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Judge,
    chance: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everybody: dict[str, StreamSession] = {}

    def mistaken(session: StreamSession) -> QueryContext:
        everybody[session.stream] = session
        others = [one for name, one in everybody.items() if name != session.stream]
        rows = (others or [session])[0].kv_indices
        return QueryContext(AttentionSpan.past(rows), np.arange(0))

    monkeypatch.setattr(sessions, "build_query_context", mistaken)
    config = replace(shipped(), query_view=QueryView.LAST_SLOT)
    heard = evaluate_slots(model, footages, config, lambda each: each.slots["everything"])
    assert agreement(heard) < chance


# What is counted


def test_the_dense_model_agrees_with_itself_computed_by_other_means(
    model: VisionLanguageModel, footages: list[Footage], dense: Answers
) -> None:
    fresh, each = WindowRecomputer(model), footages[0]
    for window in each.windows[::4]:
        chosen = chosen_slots("last-frames", SHORT.window, SHORT.window, each, window.index)
        said, _, cells = fresh.answer(each, chosen, list(each.questions), PROBE)
        heard = dense.answers[each.stream.url, window.index]
        assert [option_text(one.value) for one in said] == [
            heard[question] for question in each.questions
        ]
        assert cells == SHORT.window * each.grid.cells


def test_baselines_are_charged_what_torch_counts(
    model: VisionLanguageModel, footages: list[Footage]
) -> None:
    fresh, each = WindowRecomputer(model), footages[0]
    chosen = evs_cells(SHORT.window, 0.4, each, each.windows[0].index)
    charged = []

    def run() -> None:
        charged.append(fresh.answer(each, chosen, [PROBE], PROBE)[1])

    assert count_flops(run) == charged[0].total
    assert sum(int(mask.sum()) for _, mask in chosen) == round(0.4 * 4 * each.grid.cells)


def test_an_account_covers_full_windows_with_one_question_each(
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


def test_blending_all_tokens_is_computing_anew(
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


def test_what_goes_up_is_what_is_kept(footages: list[Footage]) -> None:
    assert footages[0].uplink["tracked"] < 0.6 * footages[0].uplink["everything"]


def test_all_policies_send_the_same_pixels_of_the_same_moments(footages: list[Footage]) -> None:
    slots = footages[0].slots
    for whole, part in zip(slots["everything"], slots["random"], strict=True):
        assert part.times == whole.times
        assert np.array_equal(part.patches, whole.patches[part.kept.ravel()])


@pytest.mark.timeout(900)  # half a minute of a core of one's own
def test_a_quick_run_gives_every_row(tmp_path: Path) -> None:
    file = tmp_path / "accuracy.json"
    done = CliRunner().invoke(app, ["bench", "accuracy", "--quick", "--json", str(file)])
    assert done.exit_code == 0, done.output
    result = json.loads(file.read_text())
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
        ours = next(row for row in rows if row["default"])
        others = [row for row in rows if row["change"] == "random" or is_trivial(row)]
        assert ours["agreement"] > max(row["agreement"] for row in others) + 0.02
        assert ours["flops_ratio"] < 0.3
        assert 0 < ours["uplink_bytes_per_s"] < 10_000
    assert {row["setting"] for row in result["text"]} == {"published", "native"}
