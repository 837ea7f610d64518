"""Free text, decoded greedily."""

from collections.abc import Callable, Generator, Sequence

from torch import Tensor

from codecsight.answers.question import Question
from codecsight.answers.scoring import Scored
from codecsight.models.base import VisionLanguageModel

Decoding = Generator[Sequence[int], Tensor, Scored]
"""Yields tokens to be added to the sequence, wants the logits [vocab] after the last of them, and
returns the answer.
"""


def decoding(question: Question, model: VisionLanguageModel, most: int) -> Decoding:
    """The likeliest words one by one, at most `most` of them. The probability is the mean of those
    of the tokens said, the end included.
    """
    said: list[int] = []
    chances: list[float] = []
    logits = yield model.layout.question(question.text).ids.tolist()
    while True:
        probability, token = logits.softmax(-1).max(-1)
        chances.append(float(probability))
        if model.is_end(int(token)):
            break
        said.append(int(token))
        if len(said) == most:
            break
        logits = yield [int(token)]
    return Scored(model.text_of(said), sum(chances) / len(chances))


def decode(
    question: Question,
    model: VisionLanguageModel,
    extend: Callable[[Sequence[int]], Tensor],
    most: int,
) -> Scored:
    """The whole answer at once; `extend` adds tokens and gives the logits after the last one."""
    words = decoding(question, model, most)
    ids = next(words)
    while True:
        try:
            ids = words.send(extend(ids))
        except StopIteration as end:
            scored: Scored = end.value
            return scored
