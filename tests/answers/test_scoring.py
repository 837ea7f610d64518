import math

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
    words = [[model.detokenize(ids) for ids in option] for option in spell_options(PERSON, model)]
    assert words == [["yes", "Yes"], ["no", "No"]]


def test_a_choice_is_spelled_as_given(model: Qwen3VL) -> None:
    words = [[model.detokenize(ids) for ids in option] for option in spell_options(SIDE, model)]
    assert words == [["left"], ["right"]]


def test_the_end_is_spelled_where_one_option_begins_another(model: Qwen3VL) -> None:
    few = Question("How many?", QuestionKind.COUNT, max_count=9)
    many = Question("How many?", QuestionKind.COUNT, max_count=10)
    assert all(ids[-1] != model.eos_token_id for [ids] in spell_options(few, model))
    assert all(ids[-1] == model.eos_token_id for [ids] in spell_options(many, model))


def test_options_that_cannot_be_told_apart_are_refused(model: Qwen3VL) -> None:
    twice = Question("Where?", QuestionKind.CHOICE, ("left", "left"))
    with pytest.raises(QuestionError, match="cannot tell apart: left, left"):
        spell_options(twice, model)


def test_options_without_words_are_refused(model: Qwen3VL, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = model.layout.encode("q")[0]
    monkeypatch.setattr(type(model), "unk_token_id", unknown)
    with pytest.raises(QuestionError, match="no words for 'quay'"):
        spell_options(Question("Where?", QuestionKind.CHOICE, ("quay", "gate")), model)


def test_scores_are_summed_over_tokens_and_spellings(model: Qwen3VL) -> None:
    """Against chances written out by hand: each row gives its favoured tokens a known chance."""
    option_tree = build_option_tree([PERSON], model)
    vocabulary = model.network.config.text_config.vocab_size
    logits = torch.full((len(option_tree.logit_indices), vocabulary), -1e9)
    chances = {"yes": 0.1, "Yes": 0.3, "no": 0.2, "No": 0.05}
    root = option_tree.logit_indices[0]
    spelled = {text: model.layout.encode(text) for text in chances}
    for text, chance in chances.items():
        logits[0, spelled[text][0]] = math.log(chance)
    logits[0, model.eos_token_id] = math.log(1 - sum(chances.values()))
    for after, token, _ in option_tree.reads:
        if after != root:  # later letters: even odds between the right one and the end
            row = option_tree.logit_indices.index(after)
            logits[row, token] = logits[row, model.eos_token_id] = 0.0
    [found] = score(option_tree, logits)
    yes = chances["yes"] / 4 + chances["Yes"] / 4
    no = chances["no"] / 2 + chances["No"] / 2
    assert found.probability == pytest.approx(max(yes, no) / (yes + no))
    assert found.value is (yes > no)


@pytest.mark.parametrize(
    ("question", "option", "value"),
    [
        (PERSON, "no", False),
        (PERSON, "Yes", True),
        (Question("How many?", QuestionKind.COUNT), "7", 7),
        (SIDE, "right", "right"),
    ],
)
def test_values_have_the_kind_of_their_question(
    model: Qwen3VL, question: Question, option: str, value: object
) -> None:
    option_tree = build_option_tree([question], model)
    logits = torch.zeros(
        len(option_tree.logit_indices), model.network.config.text_config.vocab_size
    )
    logits[0, model.layout.encode(option)[0]] = 50.0
    [found] = score(option_tree, logits)
    assert found.value == value
    assert type(found.value) is type(value)
    assert found.probability > 0.99


def test_questions_of_one_ballot_do_not_share_chances(model: Qwen3VL) -> None:
    option_tree = build_option_tree([PERSON, SIDE], model)
    logits = torch.zeros(
        len(option_tree.logit_indices), model.network.config.text_config.vocab_size
    )
    person, side = score(option_tree, logits)
    assert person.value is False  # two letters are likelier than three
    assert side.value == "left"
    assert 0.5 < side.probability < 1


def test_a_temperature_tempers_the_probability_and_keeps_the_order(
    model: Qwen3VL, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    several = [PERSON, Question("How many?", QuestionKind.COUNT), SIDE]
    plain = build_option_tree(several, model)
    hot = {"yes-no": 3.0, "count": 3.0}
    monkeypatch.setattr(model, "calibration", Calibration(temperatures=hot))
    tempered = build_option_tree(several, model)
    logits = torch.randn(len(plain.logit_indices), model.network.config.text_config.vocab_size) * 4
    for one, other in zip(score(plain, logits), score(tempered, logits), strict=True):
        assert (one.value, one.scores) == (other.value, other.scores)
    person, count, side = (found.probability for found in score(plain, logits))
    calmer, fewer, same = (found.probability for found in score(tempered, logits))
    assert calmer < person
    assert fewer < count
    assert same == side


def test_questions_that_begin_alike_share_their_beginning(model: Qwen3VL) -> None:
    car = Question("Is there a car?", QuestionKind.YES_NO)
    alone = [len(build_option_tree([question], model).tree) for question in (PERSON, car)]
    shared = len(model.layout.question("Is there a ").ids) - len(model.layout.question("").ids)
    assert shared > 5
    assert len(build_option_tree([PERSON, car], model).tree) <= sum(alone) - shared
    assert len(build_option_tree([PERSON, PERSON], model).tree) == alone[0]


def test_reads_follow_the_spellings(model: Qwen3VL) -> None:
    """Each spelling is read after its question and after each of its own tokens but the last."""
    several = [SIDE, Question("How many?", QuestionKind.COUNT, max_count=12), PERSON]
    option_tree = build_option_tree(several, model)
    ids, mask = option_tree.tree.tokens.ids, option_tree.tree.mask
    number = 0
    for question in several:
        asked = model.layout.question(question.text).ids.tolist()
        for spelling in (one for each in spell_options(question, model) for one in each):
            reads = [(after, token) for after, token, which in option_tree.reads if which == number]
            assert [token for _, token in reads] == list(spelling)
            for count, (after, _) in enumerate(reads):
                assert ids[mask[after]].tolist() == [*asked, *spelling[:count]]
            number += 1
    assert number == option_tree.spellings
