"""Arithmetic of the accuracy benchmark, checked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy.baselines.cacheblend import SHARE, share_for_budget
from benchmarks.accuracy.baselines.recompute import chosen_slots
from benchmarks.accuracy.baselines.simple import trivial_baseline
from benchmarks.accuracy.evaluation import Answers, Cost
from benchmarks.accuracy.footage import Footage, Window
from benchmarks.accuracy.policies import SampledOnly
from benchmarks.accuracy.scoring.descriptions import word_f1
from benchmarks.accuracy.scoring.scores import MOTION, Tally, tallies
from benchmarks.accuracy.streams import FULL, Setting, Stream, streams
from benchmarks.accuracy.variants import all_variants
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import GridSpec
from codecsight.core.question import Question, QuestionKind
from codecsight.world.labels.questions import WORDINGS

STREAM = Stream(Setting("native", 4, 1, 8), ("plain",), "street", 1, 4, ())
EMPTY = Footage(STREAM, GridSpec(28, 2, 2.0, 48).fit(480, 360), {}, [], {}, {})


def test_cacheblend_refreshes_the_share_that_its_budget_pays_for() -> None:
    """1000 operations per layer for all reused tokens, 4 layers, 500 operations for the rest."""
    published = 500 + 1000 + round(SHARE * 3 * 1000)
    searching = share_for_budget(500, published, 500 + 1000 + 1500, layers=4, search_free=False)
    knowing = share_for_budget(500, published, 500 + 3000, layers=4, search_free=True)
    assert searching == pytest.approx(0.5)
    assert knowing == pytest.approx(0.75)
    assert share_for_budget(500, published, 600, layers=4, search_free=False) == 0.0


def test_the_sampled_rule_reads_the_motion_of_sampled_frames_only() -> None:
    grid = GridSpec(28, 2, 2.0, 48).fit(160, 96)
    nothing = np.zeros(0, np.uint8)
    still, moving = (
        FrameSignals("P", 900, motion=np.full((6, 10, 2), motion, np.float32))
        for motion in (0.0, 4.0)
    )
    policy = SampledOnly(grid, tau=0.5)
    policy.observe(moving, 160, 96)
    policy.observe(still, 160, 96)
    policy.on_sample()
    assert not policy.decide(nothing, nothing).any()
    policy.observe(moving, 160, 96)
    policy.on_sample()
    assert policy.decide(nothing, nothing).all()


def test_low_rate_slots_are_spread_over_the_window() -> None:
    ends = {
        change: [index for index, _ in chosen_slots(change, 10, 4, EMPTY, 19)]
        for change in ("last-frames", "low-rate")
    }
    assert ends == {"last-frames": [16, 17, 18, 19], "low-rate": [12, 14, 17, 19]}


def test_trivial_baselines_repeat_dense_answers_at_no_cost() -> None:
    question = Question("Is there a person?", QuestionKind.YES_NO)
    windows = [Window(n, {question: "yes"}, "moving") for n in range(4)]
    each = replace(EMPTY, windows=windows, questions={question: "person"})
    given = {(STREAM.url, n): {question: w} for n, w in enumerate(("no", "yes", "no", "no"))}
    dense = Answers(given, {STREAM.url: Cost()})
    repeated, constant = (trivial_baseline([each], how, dense) for how in ("repeat", "constant"))
    assert [repeated.answers[STREAM.url, n][question] for n in range(4)] == [
        "no", "no", "yes", "no"
    ]  # fmt: skip
    assert {words[question] for words in constant.answers.values()} == {"no"}
    assert constant.costs[STREAM.url].spent.total == 0


def test_word_f1_counts_repeated_words() -> None:
    assert word_f1("two people, a bag", "two people, a bag") == 1.0
    assert word_f1("two people", "a red car") == 0.0
    assert word_f1("a car, a bag", "a car") == pytest.approx(2 * 2 / (4 + 2))


def test_motion_topics_are_topics_of_the_world() -> None:
    assert set(WORDINGS) > MOTION
    assert {"person", "people", "shirt", "standing", "left-behind"}.isdisjoint(MOTION)


def test_f1_flips_and_agreement_by_hand() -> None:
    question = Question("Is there a person?", QuestionKind.YES_NO)
    truths = ("yes", "yes", "no", "no", None)
    windows = [
        Window(n, {} if t is None else {question: t}, "moving") for n, t in enumerate(truths)
    ]
    each = replace(EMPTY, windows=windows, questions={question: "person"})

    def answers(*words: str) -> Answers:
        return Answers({(STREAM.url, n): {question: word} for n, word in enumerate(words)})

    dense = answers("yes", "yes", "no", "yes", "no")
    variant = answers("yes", "no", "yes", "no", "yes")
    row = tallies([each], variant, dense)["person"].row(np.random.default_rng(0))
    assert row["f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert row["f1_dense"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert row["agreement"] == 0.25
    assert row["agreement_any"] == 0.2
    assert (row["flips_to_yes"], row["flips_to_no"]) == (1, 2)
    assert row["answers"] == 4


def test_intervals_are_bootstrapped_over_streams() -> None:
    columns = np.zeros((2, 12))
    columns[:, 6] = columns[:, 10] = 100
    columns[0, 7] = columns[0, 11] = 100  # one stream agrees in every window, the other in none
    row = Tally(columns).row(np.random.default_rng(0))
    assert (row["agreement_low"], row["agreement"], row["agreement_high"]) == (0.0, 0.5, 1.0)


def test_every_setting_measures_the_default_once() -> None:
    for setting in {stream.setting for stream in streams(FULL)}:
        variants = all_variants(setting)
        assert sum(variant.default for variant in variants) == 1
        assert len(set(variants)) == len(variants)


def test_every_stream_has_its_own_url() -> None:
    urls = [stream.url for stream in streams(FULL)]
    assert len(set(urls)) == len(urls)
