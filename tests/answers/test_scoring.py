"""Scores and probabilities of options, and the shared token tree of many questions."""

import math
from itertools import chain

import pytest
import torch

from codecsight.answers.scoring import build_option_tree, score, spell_options
from codecsight.core.errors import QuestionError
from codecsight.core.question import Question, QuestionKind
from codecsight.models.calibration import Calibration
from codecsight.models.families.qwen3_vl import Qwen3VL

PERSON = Question("Is there a person?", QuestionKind.YES_NO)
SIDE = Question("Where?", QuestionKind.CHOICE, ("left", "right"))


def test_yes_and_no_may_be_capitalised(model: Qwen3VL) -> None:
    texts = [[model.detokenize(ids) for ids in option] for option in spell_options(PERSON, model)]
    assert texts == [["yes", "Yes"], ["no", "No"]]


def test_a_choice_is_spelled_as_given(model: Qwen3VL) -> None:
    texts = [[model.detokenize(ids) for ids in option] for option in spell_options(SIDE, model)]
    assert texts == [["left"], ["right"]]


def test_the_end_token_is_scored_if_one_option_is_a_prefix_of_another(model: Qwen3VL) -> None:
    few = Question("How many?", QuestionKind.COUNT, max_count=9)
    many = Question("How many?", QuestionKind.COUNT, max_count=10)
    assert all(ids[-1] != model.eos_token_id for [ids] in spell_options(few, model))
    assert all(ids[-1] == model.eos_token_id for [ids] in spell_options(many, model))


def test_options_with_equal_spellings_are_rejected(model: Qwen3VL) -> None:
    twice = Question("Where?", QuestionKind.CHOICE, ("left", "right"))
    # As with a tokenizer that writes both alike; a question itself refuses equal options.
    object.__setattr__(twice, "choices", ("left", "left"))
    with pytest.raises(QuestionError, match="cannot distinguish: left, left"):
        spell_options(twice, model)


def test_options_with_unknown_tokens_are_rejected(
    model: Qwen3VL, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = model.layout.encode("q")[0]
    monkeypatch.setattr(type(model), "unk_token_id", unknown)
    with pytest.raises(QuestionError, match="no tokens for 'quay'"):
        spell_options(Question("Where?", QuestionKind.CHOICE, ("quay", "gate")), model)


def test_scores_are_summed_over_tokens_and_spellings(model: Qwen3VL) -> None:
    """Compare with probabilities written out by hand: each row gives known tokens a known one."""
    option_tree = build_option_tree([PERSON], model)
    vocabulary = model.network.config.text_config.vocab_size
    logits = torch.full((len(option_tree.logit_indices), vocabulary), -1e9)
    probabilities = {"yes": 0.1, "Yes": 0.3, "no": 0.2, "No": 0.05}
    root = option_tree.logit_indices[0]
    spelled = {text: model.layout.encode(text) for text in probabilities}
    for text, probability in probabilities.items():
        logits[0, spelled[text][0]] = math.log(probability)
    logits[0, model.eos_token_id] = math.log(1 - sum(probabilities.values()))
    for after, token, _ in option_tree.reads:
        if after != root:  # later letters: equal probability of the letter and the end token
            row = option_tree.logit_indices.index(after)
            logits[row, token] = logits[row, model.eos_token_id] = 0.0
    [answer] = score(option_tree, logits)
    yes = probabilities["yes"] / 4 + probabilities["Yes"] / 4
    no = probabilities["no"] / 2 + probabilities["No"] / 2
    assert answer.probability == pytest.approx(max(yes, no) / (yes + no))
    assert answer.value is (yes > no)


@pytest.mark.parametrize(
    ("question", "option", "value"),
    [
        (PERSON, "no", False),
        (PERSON, "Yes", True),
        (Question("How many?", QuestionKind.COUNT), "7", 7),
        (SIDE, "right", "right"),
    ],
)
def test_values_have_the_type_of_their_question(
    model: Qwen3VL, question: Question, option: str, value: object
) -> None:
    option_tree = build_option_tree([question], model)
    logits = torch.zeros(
        len(option_tree.logit_indices), model.network.config.text_config.vocab_size
    )
    logits[0, model.layout.encode(option)[0]] = 50.0
    [answer] = score(option_tree, logits)
    assert answer.value == value
    assert type(answer.value) is type(value)
    assert answer.probability > 0.99


def test_questions_of_one_tree_are_normalised_separately(model: Qwen3VL) -> None:
    option_tree = build_option_tree([PERSON, SIDE], model)
    logits = torch.zeros(
        len(option_tree.logit_indices), model.network.config.text_config.vocab_size
    )
    person, side = score(option_tree, logits)
    assert person.value is False  # two letters are more probable than three
    assert side.value == "left"
    assert 0.5 < side.probability < 1


def test_a_temperature_changes_the_probability_but_not_the_order(
    model: Qwen3VL, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    questions = [PERSON, Question("How many?", QuestionKind.COUNT), SIDE]
    plain = build_option_tree(questions, model)
    temperatures = {"yes-no": 3.0, "count": 3.0}
    monkeypatch.setattr(model, "calibration", Calibration(temperatures=temperatures))
    scaled = build_option_tree(questions, model)
    logits = torch.randn(len(plain.logit_indices), model.network.config.text_config.vocab_size) * 4
    for one, other in zip(score(plain, logits), score(scaled, logits), strict=True):
        assert (one.value, one.scores) == (other.value, other.scores)
    person, count, side = (answer.probability for answer in score(plain, logits))
    person_scaled, count_scaled, side_scaled = (
        answer.probability for answer in score(scaled, logits)
    )
    assert person_scaled < person
    assert count_scaled < count
    assert side_scaled == side


def test_questions_with_a_common_prefix_share_its_tokens(model: Qwen3VL) -> None:
    car = Question("Is there a car?", QuestionKind.YES_NO)
    alone = [len(build_option_tree([question], model).tree) for question in (PERSON, car)]
    shared = len(model.layout.question("Is there a ").ids) - len(model.layout.question("").ids)
    assert shared > 5
    assert len(build_option_tree([PERSON, car], model).tree) <= sum(alone) - shared
    assert len(build_option_tree([PERSON, PERSON], model).tree) == alone[0]


def test_reads_follow_each_spelling_token_by_token(model: Qwen3VL) -> None:
    """Each spelling is read after its question and after each of its own tokens except the last."""
    questions = [SIDE, Question("How many?", QuestionKind.COUNT, max_count=12), PERSON]
    option_tree = build_option_tree(questions, model)
    ids, mask = option_tree.tree.tokens.ids, option_tree.tree.mask
    number = 0
    for question in questions:
        prompt = model.layout.question(question.text).ids.tolist()
        for spelling in chain.from_iterable(spell_options(question, model)):
            reads = [(after, token) for after, token, which in option_tree.reads if which == number]
            assert [token for _, token in reads] == list(spelling)
            for count, (after, _) in enumerate(reads):
                assert ids[mask[after]].tolist() == [*prompt, *spelling[:count]]
            number += 1
    assert number == option_tree.spellings
