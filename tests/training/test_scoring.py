"""How answers and descriptions are judged."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from codecsight.models.loading import load_model
from codecsight.world.labels.questions import LabelledQuestion, label_window, topic_question
from training.__main__ import layout_of
from training.data.clips import Clip, draw_clips
from training.data.film import recorded_windows
from training.evaluation.descriptions import (
    clause_subject,
    generate_description,
    score_descriptions,
)
from training.evaluation.scoring import Score, held_out_clips, predicted_answer, score_clips
from training.network import Learner
from training.tokenizer import build_tokenizer

GRID = (6, 8)


def test_f1_is_of_yes_and_counts_have_none() -> None:
    score = Score()
    for pair, times in ((("yes", "yes"), 3), (("no", "yes"), 1), (("yes", "no"), 2)):
        score.pairs[pair] = times
    assert score.f1 == pytest.approx(2 / 3)
    assert score.summary() == {
        "asked": 6,
        "accuracy": 0.5,
        "majority": pytest.approx(5 / 6, abs=1e-4),
        "f1": pytest.approx(2 / 3, abs=1e-4),
        "yes": 5,
    }
    assert Score({("2", "2"): 1}).f1 is None


def test_only_what_is_given_is_asked_where_it_is_given() -> None:
    tokenizer = build_tokenizer()
    learner = Learner.from_scratch(tokenizer, 3)
    clips = draw_clips(random.Random(2), 3, 2, GRID)
    asked = [[LabelledQuestion("person", topic_question("person"), "yes")] for _ in clips]
    found = score_clips(learner, layout_of(tokenizer, learner), clips, GRID, asked)
    assert {topic: score.asked for topic, score in found.items()} == {"person": 3}


def test_a_text_is_right_as_a_whole_or_not_at_all() -> None:
    tokenizer = build_tokenizer()
    layout = layout_of(tokenizer, Learner.from_scratch(tokenizer, 3))
    due = torch.tensor(tokenizer.encode("one person in red walking left<|im_end|>"))
    said = due.clone()
    said[3] = tokenizer.encode(" blue")[0]
    for ids, given in ((due, "one person in red walking left"), (said, "")):
        logits = torch.nn.functional.one_hot(ids, len(tokenizer)).float()
        asked = described("one person in red walking left")
        assert predicted_answer(asked, logits, due, layout) == given


def described(text: str) -> LabelledQuestion:
    return LabelledQuestion("describe", topic_question("describe"), text)


def test_clauses_are_told_apart_by_what_they_are_about() -> None:
    clauses = ("one person in red lying", "two cars", "a bag", "smoke", "nothing", "a zebra")
    assert [clause_subject(clause) for clause in clauses] == [
        *("people", "cars", "bags", "smoke", "nothing", "other")
    ]


def test_descriptions_are_judged_clause_by_clause() -> None:
    clips = [clip for clip in held_out_clips(12, 2, GRID) if spoken_truth(clip)][:3]
    found = score_descriptions(load_model(), clips)
    assert found["asked"] == len(clips) == 3
    told = [(spoken_truth(clip), generate_description(load_model(), clip)) for clip in clips]
    assert found["exact"] == pytest.approx(np.mean([t == g for t, g in told]), abs=1e-4)
    due = sum(len(true.split(", ")) for true, _ in told)
    hit = sum(len(set(true.split(", ")) & set(given.split(", "))) for true, given in told)
    assert found["clauses_told"] == pytest.approx(hit / due, abs=1e-4)


def spoken_truth(clip: Clip) -> str:
    return next((each.answer for each in label_window(clip.window) if each.topic == "describe"), "")


def test_a_recording_is_cut_into_windows_at_two_pictures_a_second(clips: Path) -> None:
    windows = recorded_windows(clips / "bottles.mp4", 4, (5, 9))
    assert len(windows) == 10
    for number, (times, frames) in enumerate(windows):
        assert frames.shape == (8, 80, 144, 3)
        assert times[0] == pytest.approx(4.0 * number, abs=0.3)
        assert np.diff(times) == pytest.approx([0.5] * 7, abs=0.05)
