"""Free text, decoded greedily."""

from collections.abc import Callable, Sequence

from torch import Tensor

from codecsight.answers.question import Question
from codecsight.answers.scoring import Scored
from codecsight.models.base import VisionLanguageModel


def decode(
    question: Question,
    model: VisionLanguageModel,
    extend: Callable[[Sequence[int]], Tensor],
    most: int,
) -> Scored:
    """The likeliest words one by one, at most `most` of them.

    `extend` adds tokens to the sequence and gives the logits [vocab] after the last one. The
    probability is the mean of those of the tokens said, the end included.
    """
    said: list[int] = []
    chances: list[float] = []
    logits = extend(model.layout.question(question.text).ids.tolist())
    while True:
        probability, token = logits.softmax(-1).max(-1)
        chances.append(float(probability))
        if model.is_end(int(token)):
            break
        said.append(int(token))
        if len(said) == most:
            break
        logits = extend([int(token)])
    return Scored(model.text_of(said), sum(chances) / len(chances))
