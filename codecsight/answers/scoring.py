"""Typed answers, scored from the logits of one forward pass over all questions and their options.

Each question with its options becomes a path in a token tree; questions share common prefixes. For
"Dark?" with the options yes/no (spelled yes, Yes, no, No; one token each here) the tree holds only
the question's tokens, and all four spellings are read from the logits after its last token:

    tree    D a r k ? <end of turn>          [6 tokens]
    reads   (5, "yes", 0) (5, "Yes", 1) (5, "no", 2) (5, "No", 3)
    options [[[0, 1], [2, 3]]]               one question, two options, two spellings each
"""

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
"""Token ids of one way to write an option."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """A typed value and its calibrated probability among the options. `scores` are the options'
    summed log-probabilities before calibration (empty for a free-form answer).
    """

    value: Value
    probability: float
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class OptionTree:
    """Questions and the spellings of their options as one token `tree` with shared prefixes.

    `reads` lists what to read from the logits: (index of a token in the tree, id of the next token,
    number of the spelling). `options[question][option]` lists the numbers of the option's
    spellings; there are `spellings` in total. Each question's scores are divided by its temperature
    in `temperatures`.
    """

    questions: Sequence[Question]
    temperatures: Sequence[float]
    tree: TokenTree
    reads: Sequence[tuple[int, int, int]]
    options: Sequence[Sequence[Sequence[int]]]
    spellings: int

    @property
    def logit_indices(self) -> list[int]:
        """Indices of the tree's tokens after which logits are needed, ascending."""
        return sorted({after for after, _, _ in self.reads})


def build_option_tree(questions: Sequence[Question], model: VisionLanguageModel) -> OptionTree:
    """The tree of questions that have options.

    Raises QuestionError for options that the model's tokenizer cannot spell or distinguish.
    """
    sequences: list[list[int]] = []
    spellings: list[Spelling] = []
    options: list[list[list[int]]] = []
    for question in questions:
        prompt = model.layout.question(question.text).ids.tolist()
        numbers = []
        for option in spell_options(question, model):
            numbers.append(list(range(len(spellings), len(spellings) + len(option))))
            # An option's last token is only predicted, never attended to: leave it out of the tree.
            sequences += [[*prompt, *spelling[:-1]] for spelling in option]
            spellings += option
        options.append(numbers)
    tree, indices = TokenTree.from_sequences(sequences)
    # A spelling's first token is predicted after the question's last token, so its tokens are read
    # after the last len(spelling) tokens of its path.
    reads = [
        (after, token, number)
        for number, (path, spelling) in enumerate(zip(indices, spellings, strict=True))
        for after, token in zip(path[-len(spelling) :], spelling, strict=True)
    ]
    temperatures = [model.calibration.of(question.kind) for question in questions]
    return OptionTree(questions, temperatures, tree, reads, options, len(spellings))


def spell_options(question: Question, model: VisionLanguageModel) -> list[list[Spelling]]:
    """The spellings of each option.

    If one spelling is a prefix of another ("1", "10"), all end with the end-of-answer token, so
    that their probabilities are exclusive.
    """
    options = [_spell(question, option, model) for option in question.options]
    every = [spelling for spellings in options for spelling in spellings]
    if len(set(every)) < len(every):
        raise QuestionError(
            f"the question {question.text!r} has options that {model.name} cannot distinguish: "
            f"{', '.join(question.options)}"
        )
    if any(longer[: len(shorter)] == shorter for shorter, longer in permutations(every, 2)):
        end = model.eos_token_id
        return [[(*spelling, end) for spelling in spellings] for spellings in options]
    return options


def _spell(question: Question, option: str, model: VisionLanguageModel) -> list[Spelling]:
    cased = [option, option.capitalize()] if question.kind is QuestionKind.YES_NO else [option]
    unknown = model.unk_token_id
    known = [tuple(ids) for ids in map(model.layout.answer, cased) if ids and unknown not in ids]
    if not known:
        raise QuestionError(
            f"{model.name} has no tokens for {option!r}, an option of {question.text!r}"
        )
    return list(dict.fromkeys(known))


def score(option_tree: OptionTree, logits: Tensor) -> list[ScoredAnswer]:
    """The best option of each question.

    `logits` is [len(option_tree.logit_indices), vocab]. An option's score is the log of the summed
    probability of its spellings, each the product of its tokens' probabilities. Probabilities are
    normalised over the options at the question's temperature.
    """
    log_probabilities = torch.log_softmax(logits.double().cpu(), dim=-1)
    row = {after: index for index, after in enumerate(option_tree.logit_indices)}
    totals = [0.0] * option_tree.spellings
    for after, token, spelling in option_tree.reads:
        totals[spelling] += float(log_probabilities[row[after], token])
    by_spelling = torch.tensor(totals)
    return [
        _best(question, [float(by_spelling[ids].logsumexp(0)) for ids in options], temperature)
        for question, options, temperature in zip(
            option_tree.questions, option_tree.options, option_tree.temperatures, strict=True
        )
    ]


def _best(question: Question, scores: list[float], temperature: float) -> ScoredAnswer:
    best = max(range(len(scores)), key=scores.__getitem__)
    # The softmax of the best score, written without the overflow of large exponents.
    probability = 1 / sum(math.exp((other - scores[best]) / temperature) for other in scores)
    match question.kind:
        case QuestionKind.YES_NO:
            return ScoredAnswer(question.options[best] == "yes", probability, tuple(scores))
        case QuestionKind.COUNT:
            return ScoredAnswer(int(question.options[best]), probability, tuple(scores))
        case _:
            return ScoredAnswer(question.options[best], probability, tuple(scores))
