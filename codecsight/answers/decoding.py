"""Answers that are said word by word: free text, and JSON. Decoded greedily."""

from collections.abc import Callable, Generator, Sequence

from torch import Tensor

from codecsight.answers.scoring import ScoredAnswer
from codecsight.answers.structured_output import Shape, value_of
from codecsight.core.question import Question, QuestionKind
from codecsight.models.base import VisionLanguageModel

GreedyDecoding = Generator[Sequence[int], Tensor, ScoredAnswer]
"""Yields tokens to be added to the sequence (first the question), wants the logits [vocab] after
the last of them, and returns the answer.
"""

Heard = Callable[[str], None]
"""Is told of each new word: the answer so far."""


def greedy_decoding(
    question: Question, model: VisionLanguageModel, most: int, heard: Heard = lambda _: None
) -> GreedyDecoding:
    """The likeliest tokens one by one, at most `most` of them; those that a schema leaves no choice
    about go along with the one before. The probability is the mean of those of the tokens chosen,
    the end included. Raises QuestionError for a schema that can't be followed.
    """
    shape = Shape(question, model) if question.kind is QuestionKind.JSON else None
    said: list[int] = shape.forced()[:most] if shape else []
    chances: list[float] = []
    logits = yield [*model.layout.question(question.text).ids.tolist(), *said]
    while len(said) < most and not (shape and shape.whole):
        probability, token = _likeliest(logits, shape)
        chances.append(probability)
        if model.is_eos(token):
            break
        fresh = [token, *(shape.say(token) if shape else [])][: most - len(said)]
        said += fresh
        heard(model.detokenize(said))
        if len(said) < most and not (shape and shape.whole):
            logits = yield fresh
    text = model.detokenize(said)
    sure = sum(chances) / max(len(chances), 1)
    return ScoredAnswer(value_of(text) if shape else text, sure)


def _likeliest(logits: Tensor, shape: Shape | None) -> tuple[float, int]:
    """The token to say, and how likely it is among those allowed."""
    probability, token = (shape.only(logits) if shape else logits).softmax(-1).max(-1)
    return float(probability), int(token)


def decode(
    question: Question,
    model: VisionLanguageModel,
    extend: Callable[[Sequence[int]], Tensor],
    most: int,
) -> ScoredAnswer:
    """The whole answer at once; `extend` adds tokens and gives the logits after the last one."""
    words = greedy_decoding(question, model, most)
    ids = next(words)
    while True:
        try:
            ids = words.send(extend(ids))
        except StopIteration as end:
            scored: ScoredAnswer = end.value
            return scored
