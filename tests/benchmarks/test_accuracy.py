"""The bench of answers counts rightly, and notices when answers get worse."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.accuracy.arms import engine_arm, every_arm, reference
from benchmarks.accuracy.filming import Footage, Window, footage
from benchmarks.accuracy.fresh import Fresh, chosen_slots, evs_cells
from benchmarks.accuracy.hearing import PROBE, Heard, hear, hear_blended, hear_slots, spelled
from benchmarks.accuracy.policies import thinned
from benchmarks.accuracy.scores import ALL, Tally, tallies
from benchmarks.accuracy.streams import FULL as FULL_SIZE
from benchmarks.accuracy.streams import Setting, Stream, streams
from codecsight.answers.question import Question, QuestionKind
from codecsight.answers.scoring import ballot_of
from codecsight.change.slot import Slot, SlotKind
from codecsight.cli.app import app
from codecsight.engine import EngineConfig, Present
from codecsight.engine import session as sessions
from codecsight.engine.attention import View
from codecsight.engine.flops import FlopMeter, counted
from codecsight.engine.present import Standpoint
from codecsight.engine.session import StreamSession
from codecsight.engine.window import slot_time
from codecsight.models.base import VisionLanguageModel
from codecsight.models.loading import load_model

SHORT = Setting("native", window=4, stride=1, published_anchor=8)
CAMERA = (("fps", 4), ("condition", "calm"))
FAMILIES = ("street", "yard")
CLEARLY = 0.02
"""Of all answers: most questions are about things that are hardly ever there."""


@pytest.fixture(scope="module")
def model() -> VisionLanguageModel:
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def footages(model: VisionLanguageModel) -> list[Footage]:
    spec = model.grid_spec(2.0, 48)
    return [
        footage(Stream(SHORT, ("calm",), family, 20 + n, 18, CAMERA), spec)
        for n, family in enumerate(FAMILIES)
    ]


@pytest.fixture(scope="module")
def dense(model: VisionLanguageModel, footages: list[Footage]) -> Heard:
    return hear(model, footages, reference(SHORT))


@pytest.fixture(scope="module")
def agreement(footages: list[Footage], dense: Heard) -> Callable[[Heard], float]:
    def of(heard: Heard) -> float:
        row = tallies(footages, heard, dense)[ALL].row(np.random.default_rng(0))
        return float(row["agreement"])

    return of


@pytest.fixture(scope="module")
def healthy(
    model: VisionLanguageModel, footages: list[Footage], agreement: Callable[[Heard], float]
) -> float:
    return agreement(hear(model, footages, engine_arm("tracked", SHORT)))


def shipped() -> EngineConfig:
    return EngineConfig(SHORT.window, SHORT.stride)


# The bench can fail


def test_ours_agrees_with_the_dense_model(healthy: float) -> None:
    assert healthy > 0.85


def test_a_policy_that_drops_what_moves_is_found_out(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Callable[[Heard], float],
    healthy: float,
) -> None:
    def blind(each: Footage) -> list[Slot]:
        whole, tracked = each.slots["everything"], each.slots["tracked"]
        deltas = [slot.kind is SlotKind.DELTA for slot in tracked]
        still = [thinned(slot, ~seen.kept) for slot, seen in zip(whole, tracked, strict=True)]
        return [a if delta else b for a, b, delta in zip(still, whole, deltas, strict=True)]

    assert agreement(hear_slots(model, footages, shipped(), blind)) < healthy - CLEARLY


def test_a_policy_that_puts_cells_one_position_off_is_found_out(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Callable[[Heard], float],
    healthy: float,
) -> None:
    def shifted(each: Footage) -> list[Slot]:
        return [
            replace(slot, patches=np.roll(slot.patches, 1, axis=0))
            for slot in each.slots["tracked"]
        ]

    assert agreement(hear_slots(model, footages, shipped(), shifted)) < healthy - CLEARLY


def test_an_engine_that_reuses_another_streams_keys_is_found_out(
    model: VisionLanguageModel,
    footages: list[Footage],
    agreement: Callable[[Heard], float],
    healthy: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everybody: dict[str, StreamSession] = {}

    def mistaken(session: StreamSession) -> Standpoint:
        everybody[session.stream] = session
        others = [one for name, one in everybody.items() if name != session.stream]
        rows = (others or [session])[0].rows
        return Standpoint(View.past(rows), np.arange(0))

    monkeypatch.setattr(sessions, "standpoint", mistaken)
    config = replace(shipped(), present=Present.LAST_SLOT)
    heard = hear_slots(model, footages, config, lambda each: each.slots["everything"])
    assert agreement(heard) < healthy - CLEARLY


# What is counted


def test_the_dense_model_agrees_with_itself_computed_by_other_means(
    model: VisionLanguageModel, footages: list[Footage], dense: Heard
) -> None:
    fresh, each = Fresh(model), footages[0]
    for window in each.windows[::4]:
        chosen = chosen_slots("last-frames", SHORT.window, SHORT.window, each, window.index)
        said, _, cells = fresh.answer(each, chosen, list(each.questions), PROBE)
        heard = dense.answers[each.stream.url, window.index]
        assert [spelled(one.value) for one in said] == [
            heard[question] for question in each.questions
        ]
        assert cells == SHORT.window * each.grid.cells


def test_baselines_are_charged_what_torch_counts(
    model: VisionLanguageModel, footages: list[Footage]
) -> None:
    fresh, each = Fresh(model), footages[0]
    chosen = evs_cells(SHORT.window, 0.4, each, each.windows[0].index)
    charged = []

    def run() -> None:
        charged.append(fresh.answer(each, chosen, [PROBE], PROBE)[1])

    assert counted(run) == charged[0].total
    assert sum(int(mask.sum()) for _, mask in chosen) == round(0.4 * 4 * each.grid.cells)


def test_an_account_covers_full_windows_with_one_question_each(
    model: VisionLanguageModel, footages: list[Footage], dense: Heard
) -> None:
    each = footages[0]
    account = dense.account([each])
    ballot = ballot_of([PROBE], model)
    meter = FlopMeter(model)
    slots = each.slots["everything"][-SHORT.window :]
    layout = model.layout
    size = len(layout.prefix)
    size += sum(len(layout.slot(slot_time(slot.times), slot.kept)) for slot in slots)
    one = SHORT.window * meter.vit(slots[0].kept) + meter.llm(size, size)
    one += meter.llm(len(ballot.tree), size + len(ballot.tree), len(ballot.rows))
    assert account.dense.total == pytest.approx(one * len(each.windows), rel=0.02)
    assert account.tokens_ratio == 1.0


def test_blending_all_tokens_is_computing_anew(
    model: VisionLanguageModel,
    footages: list[Footage],
    dense: Heard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = EngineConfig(4, 1, refresh="none", present=Present.LAST_SLOT, remember=False, ring=0)
    monkeypatch.setattr("benchmarks.accuracy.blend.SHARE", 1.0)
    blended = hear_blended(model, footages[:1], config, lambda each: each.slots["everything"])
    stream = footages[0].stream.url
    assert blended.answers == {key: dense.answers[key] for key in dense.answers if key[0] == stream}


def test_f1_flips_and_agreement_by_hand() -> None:
    question = Question("Is there a person?", QuestionKind.YES_NO)
    truths = ("yes", "yes", "no", "no", None)
    windows = [
        Window(n, {} if t is None else {question: t}, "moving") for n, t in enumerate(truths)
    ]
    each = replace_footage(windows, {question: "person"})

    def said(*words: str) -> Heard:
        return Heard({("world://x", n): {question: word} for n, word in enumerate(words)})

    dense = said("yes", "yes", "no", "yes", "no")
    ours = said("yes", "no", "yes", "no", "yes")
    row = tallies([each], ours, dense)["person"].row(np.random.default_rng(0))
    assert row["f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert row["f1_dense"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert row["agreement"] == 0.25
    assert row["agreement_any"] == 0.2
    assert (row["flips_to_yes"], row["flips_to_no"]) == (1, 2)
    assert row["answers"] == 4


def replace_footage(windows: list[Window], questions: dict[Question, str]) -> Footage:
    class Named:
        url = "world://x"

    return Footage(Named(), None, {}, windows, questions, {})  # type: ignore[arg-type]


def test_intervals_come_from_streams_not_from_windows() -> None:
    columns = np.zeros((2, 12))
    columns[:, 6] = columns[:, 10] = 100
    columns[0, 7] = columns[0, 11] = 100  # one stream agrees in all, the other in none
    row = Tally(columns).row(np.random.default_rng(0))
    assert (row["agreement_low"], row["agreement"], row["agreement_high"]) == (0.0, 0.5, 1.0)


def test_the_default_is_among_the_pairs_once_wherever_it_is_measured() -> None:
    for setting in {stream.setting for stream in streams(FULL_SIZE)}:
        arms = every_arm(setting)
        assert sum(arm.default for arm in arms) == 1
        assert len(set(arms)) == len(arms)


def test_no_two_streams_are_alike() -> None:
    urls = [stream.url for stream in streams(FULL_SIZE)]
    assert len(set(urls)) == len(urls)


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
        assert 0 < row["flops_ratio"] <= 1
        assert row["agreement_low"] <= row["agreement"] <= row["agreement_high"]
    ours = next(row for row in pooled if row["default"])
    assert ours["agreement"] > 0.7
    assert ours["flops_ratio"] < 0.3
    assert 0 < ours["uplink_bytes_per_s"] < 10_000
