"""Typed answers, read from the logits of one forward pass over all questions and options."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from codecsight.answers.token_tree import TokenTree
from codecsight.core.answer import Value
from codecsight.core.errors import QuestionError
from codecsight.core.question import Question, QuestionKind
from codecsight.models.base import VisionLanguageModel

Spelling = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """A typed value and its calibrated probability among the options; `scores` are their summed
    log-probabilities as the model gave them (none where it was spoken).
    """

    value: Value
    probability: float
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionTree:
    """Questions and the spellings of their options as a `tree` in which nothing stands twice, and
    what to read: `reads` holds (token of the tree, next token's id, spelling) and
    `options[question][option]` lists the option's `spellings` by number. Scores are divided by the
    `temperatures`, one for each question.
    """

    questions: Sequence[Question]
    temperatures: Sequence[float]
    tree: TokenTree
    reads: Sequence[tuple[int, int, int]]
    options: Sequence[Sequence[Sequence[int]]]
    spellings: int

    @property
    def logit_indices(self) -> list[int]:
        """The tokens of the tree after which logits are needed."""
        return sorted({after for after, _, _ in self.reads})


def build_option_tree(questions: Sequence[Question], model: VisionLanguageModel) -> OptionTree:
    """Lay out questions that have options. Raises QuestionError for options that the model's
    tokenizer cannot spell or tell apart.
    """
    paths: list[list[int]] = []
    ends: list[Spelling] = []
    options: list[list[list[int]]] = []
    for question in questions:
        asked = model.layout.question(question.text).ids.tolist()
        numbers = []
        for option in spell_options(question, model):
            numbers.append(list(range(len(ends), len(ends) + len(option))))
            # An option's last token is only ever predicted, so that it is left out of the tree.
            paths += [[*asked, *spelling[:-1]] for spelling in option]
            ends += option
        options.append(numbers)
    tree, places = TokenTree.from_sequences(paths)
    reads = [
        (after, token, number)
        for number, (at, spelling) in enumerate(zip(places, ends, strict=True))
        for after, token in zip(at[-len(spelling) :], spelling, strict=True)
    ]
    temperatures = [model.calibration.of(question.kind) for question in questions]
    return OptionTree(questions, temperatures, tree, reads, options, len(ends))


def spell_options(question: Question, model: VisionLanguageModel) -> list[list[Spelling]]:
    """Per option its token sequences. Where one option is the beginning of another ("1", "10"),
    the end of the answer is spelled too, so that the two exclude each other.
    """
    options = [_spell(question, option, model) for option in question.options]
    everyone = [spelling for spellings in options for spelling in spellings]
    if len(set(everyone)) < len(everyone):
        raise QuestionError(
            f"the question {question.text!r} has options that {model.name} cannot tell apart: "
            f"{', '.join(question.options)}"
        )
    if any(longer[: len(shorter)] == shorter for shorter, longer in permutations(everyone, 2)):
        return [
            [(*spelling, model.eos_token_id) for spelling in spellings] for spellings in options
        ]
    return options


def _spell(question: Question, option: str, model: VisionLanguageModel) -> list[Spelling]:
    cased = [option, option.capitalize()] if question.kind is QuestionKind.YES_NO else [option]
    known = [
        tuple(ids)
        for ids in map(model.layout.answer, cased)
        if ids and model.unk_token_id not in ids
    ]
    if not known:
        raise QuestionError(
            f"{model.name} has no words for {option!r}, an option of {question.text!r}"
        )
    return list(dict.fromkeys(known))


def score(option_tree: OptionTree, logits: Tensor) -> list[ScoredAnswer]:
    """The best option of each question. `logits` is [len(option_tree.logit_indices), vocab];
    an option's score is the summed log-probability of its tokens, all its spellings together, and
    probabilities are normalised over the options, at the model's temperature for the kind.
    """
    chances = torch.log_softmax(logits.double().cpu(), dim=-1)
    row = {after: index for index, after in enumerate(option_tree.logit_indices)}
    totals = [0.0] * option_tree.spellings
    for after, token, spelling in option_tree.reads:
        totals[spelling] += float(chances[row[after], token])
    likely = torch.tensor(totals)
    return [
        _best(question, [float(likely[ids].logsumexp(0)) for ids in options], temperature)
        for question, options, temperature in zip(
            option_tree.questions, option_tree.options, option_tree.temperatures, strict=True
        )
    ]


def _best(question: Question, scores: list[float], temperature: float) -> ScoredAnswer:
    best = max(range(len(scores)), key=scores.__getitem__)
    sure = 1 / sum(math.exp((other - scores[best]) / temperature) for other in scores)
    match question.kind:
        case QuestionKind.YES_NO:
            return ScoredAnswer(question.options[best] == "yes", sure, tuple(scores))
        case QuestionKind.COUNT:
            return ScoredAnswer(int(question.options[best]), sure, tuple(scores))
        case _:
            return ScoredAnswer(question.options[best], sure, tuple(scores))
