"""Scores of answers and descriptions."""

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


def test_f1_is_that_of_yes_and_counts_have_none() -> None:
    score = Score()
    for pair, count in ((("yes", "yes"), 3), (("no", "yes"), 1), (("yes", "no"), 2)):
        score.pairs[pair] = count
    assert score.f1 == pytest.approx(2 / 3)
    assert score.summary() == {
        "questions": 6,
        "accuracy": 0.5,
        "majority": pytest.approx(5 / 6, abs=1e-4),
        "f1": pytest.approx(2 / 3, abs=1e-4),
        "positives": 5,
    }
    assert Score({("2", "2"): 1}).f1 is None


def test_given_questions_replace_those_of_the_ground_truth() -> None:
    tokenizer = build_tokenizer()
    learner = Learner.from_scratch(tokenizer, 3)
    clips = draw_clips(random.Random(2), 3, 2, GRID)
    questions = [[LabelledQuestion("person", topic_question("person"), "yes")] for _ in clips]
    found = score_clips(learner, layout_of(tokenizer, learner), clips, GRID, questions)
    assert {topic: score.questions for topic, score in found.items()} == {"person": 3}


def test_a_text_is_correct_only_as_a_whole() -> None:
    tokenizer = build_tokenizer()
    layout = layout_of(tokenizer, Learner.from_scratch(tokenizer, 3))
    labels = torch.tensor(tokenizer.encode("one person in red walking left<|im_end|>"))
    wrong = labels.clone()
    wrong[3] = tokenizer.encode(" blue")[0]
    for ids, expected in ((labels, "one person in red walking left"), (wrong, "")):
        logits = torch.nn.functional.one_hot(ids, len(tokenizer)).float()
        item = described("one person in red walking left")
        assert predicted_answer(item, logits, labels, layout) == expected


def described(text: str) -> LabelledQuestion:
    return LabelledQuestion("describe", topic_question("describe"), text)


def test_the_subject_of_a_clause_is_found_by_its_words() -> None:
    clauses = ("one person in red lying", "two cars", "a bag", "smoke", "nothing", "a zebra")
    assert [clause_subject(clause) for clause in clauses] == [
        *("people", "cars", "bags", "smoke", "nothing", "other")
    ]


def test_description_scores_count_exact_matches_and_clauses() -> None:
    clips = [clip for clip in held_out_clips(12, 2, GRID) if true_description(clip)][:3]
    found = score_descriptions(load_model(), clips)
    assert found["descriptions"] == len(clips) == 3
    pairs = [(true_description(clip), generate_description(load_model(), clip)) for clip in clips]
    assert found["exact_match"] == pytest.approx(np.mean([t == g for t, g in pairs]), abs=1e-4)
    expected = sum(len(true.split(", ")) for true, _ in pairs)
    correct = sum(len(set(true.split(", ")) & set(given.split(", "))) for true, given in pairs)
    assert found["clause_recall"] == pytest.approx(correct / expected, abs=1e-4)


def true_description(clip: Clip) -> str:
    return next((each.answer for each in label_window(clip.window) if each.topic == "describe"), "")


def test_a_recording_is_split_into_windows_at_two_pictures_per_second(clips: Path) -> None:
    windows = recorded_windows(clips / "bottles.mp4", 4, (5, 9))
    assert len(windows) == 10
    for number, (times, frames) in enumerate(windows):
        assert frames.shape == (8, 80, 144, 3)
        assert times[0] == pytest.approx(4.0 * number, abs=0.3)
        assert np.diff(times) == pytest.approx([0.5] * 7, abs=0.05)
