"""The bench's own arithmetic, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy.baselines.cacheblend import SHARE, share_for_budget
from benchmarks.accuracy.baselines.recompute import chosen_slots
from benchmarks.accuracy.baselines.simple import trivial_baseline
from benchmarks.accuracy.evaluation import Answers, Cost
from benchmarks.accuracy.footage import Footage, Window
from benchmarks.accuracy.scoring.descriptions import shared
from benchmarks.accuracy.scoring.scores import MOTION, Tally, tallies
from benchmarks.accuracy.streams import FULL, Setting, Stream, streams
from benchmarks.accuracy.variants import all_variants
from codecsight.core.grid import GridSpec
from codecsight.core.question import Question, QuestionKind
from codecsight.world.labels.questions import WORDINGS

STREAM = Stream(Setting("native", 4, 1, 8), ("plain",), "street", 1, 4, ())
EMPTY = Footage(STREAM, GridSpec(28, 2, 2.0, 48).fit(480, 360), {}, [], {}, {})


def test_a_blend_gets_the_share_that_a_budget_pays_for() -> None:
    """1000 operations a layer for all reused tokens, 4 layers, and 500 spent on all else."""
    published = 500 + 1000 + round(SHARE * 3 * 1000)
    searching = share_for_budget(500, published, 500 + 1000 + 1500, layers=4, search_free=False)
    knowing = share_for_budget(500, published, 500 + 3000, layers=4, search_free=True)
    assert searching == pytest.approx(0.5)
    assert knowing == pytest.approx(0.75)
    assert share_for_budget(500, published, 600, layers=4, search_free=False) == 0.0


def test_fewer_frames_are_spread_over_the_window() -> None:
    ends = {
        change: [index for index, _ in chosen_slots(change, 10, 4, EMPTY, 19)]
        for change in ("last-frames", "low-rate")
    }
    assert ends == {"last-frames": [16, 17, 18, 19], "low-rate": [12, 14, 17, 19]}


def test_who_repeats_says_what_the_dense_model_said_before() -> None:
    question = Question("Is there a person?", QuestionKind.YES_NO)
    windows = [Window(n, {question: "yes"}, "moving") for n in range(4)]
    each = replace(EMPTY, windows=windows, questions={question: "person"})
    said = {(STREAM.url, n): {question: w} for n, w in enumerate(("no", "yes", "no", "no"))}
    dense = Answers(said, {STREAM.url: Cost()})
    repeated, constant = (trivial_baseline([each], how, dense) for how in ("repeat", "constant"))
    assert [repeated.answers[STREAM.url, n][question] for n in range(4)] == [
        "no", "no", "yes", "no"
    ]  # fmt: skip
    assert {words[question] for words in constant.answers.values()} == {"no"}
    assert constant.costs[STREAM.url].spent.total == 0


def test_shared_words_are_counted_as_often_as_they_stand_there() -> None:
    assert shared("two people, a bag", "two people, a bag") == 1.0
    assert shared("two people", "a red car") == 0.0
    assert shared("a car, a bag", "a car") == pytest.approx(2 * 2 / (4 + 2))


def test_what_is_asked_about_motion_is_asked_in_the_world() -> None:
    assert set(WORDINGS) > MOTION
    assert {"person", "people", "shirt", "standing", "left-behind"}.isdisjoint(MOTION)


def test_f1_flips_and_agreement_by_hand() -> None:
    question = Question("Is there a person?", QuestionKind.YES_NO)
    truths = ("yes", "yes", "no", "no", None)
    windows = [
        Window(n, {} if t is None else {question: t}, "moving") for n, t in enumerate(truths)
    ]
    each = replace(EMPTY, windows=windows, questions={question: "person"})

    def said(*words: str) -> Answers:
        return Answers({(STREAM.url, n): {question: word} for n, word in enumerate(words)})

    dense = said("yes", "yes", "no", "yes", "no")
    ours = said("yes", "no", "yes", "no", "yes")
    row = tallies([each], ours, dense)["person"].row(np.random.default_rng(0))
    assert row["f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 1))
    assert row["f1_dense"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert row["agreement"] == 0.25
    assert row["agreement_any"] == 0.2
    assert (row["flips_to_yes"], row["flips_to_no"]) == (1, 2)
    assert row["answers"] == 4


def test_intervals_come_from_streams_not_from_windows() -> None:
    columns = np.zeros((2, 12))
    columns[:, 6] = columns[:, 10] = 100
    columns[0, 7] = columns[0, 11] = 100  # one stream agrees in all, the other in none
    row = Tally(columns).row(np.random.default_rng(0))
    assert (row["agreement_low"], row["agreement"], row["agreement_high"]) == (0.0, 0.5, 1.0)


def test_the_default_is_among_the_pairs_once_wherever_it_is_measured() -> None:
    for setting in {stream.setting for stream in streams(FULL)}:
        arms = all_variants(setting)
        assert sum(arm.default for arm in arms) == 1
        assert len(set(arms)) == len(arms)


def test_no_two_streams_are_alike() -> None:
    urls = [stream.url for stream in streams(FULL)]
    assert len(set(urls)) == len(urls)
