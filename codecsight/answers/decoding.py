"""Greedy decoding of free-form answers: free text, and JSON constrained by a schema.

The decoder is a generator, so that the caller runs the forward passes and can batch them with other
work. With a JSON schema {"people": integer, "car": "red" | "blue"} a decode looks like this:

    yields [question tokens..., tokens of '{"people":']   receives logits [vocab]
    yields [token of "2", tokens of ',"car":"']           receives logits [vocab]
    (token of "red", forced tokens of '"}')               returns ScoredAnswer(dict, probability)
"""

from collections.abc import Callable, Generator, Sequence

from torch import Tensor

from codecsight.answers.scoring import ScoredAnswer
from codecsight.answers.structured_output import SchemaMatcher, parse_object
from codecsight.core.question import Question, QuestionKind
from codecsight.models.base import VisionLanguageModel

GreedyDecoding = Generator[Sequence[int], Tensor, ScoredAnswer]
"""Yields tokens to append to the sequence (first the question), receives the logits [vocab] after
the last of them, and returns the answer.
"""

OnText = Callable[[str], None]
"""Called with the answer text so far, after each decoded token."""


def greedy_decoding(
    question: Question,
    model: VisionLanguageModel,
    max_tokens: int,
    on_text: OnText = lambda _: None,
) -> GreedyDecoding:
    """Decode at most `max_tokens` tokens, each time the most probable one.

    Tokens that a schema forces are appended together with the token before them, without a forward
    pass of their own. The probability is the mean over the chosen tokens, the end token included.
    Raises QuestionError for a schema that can't be compiled.
    """
    matcher = SchemaMatcher(question, model) if question.kind is QuestionKind.JSON else None
    decoded: list[int] = matcher.forced_tokens()[:max_tokens] if matcher else []
    probabilities: list[float] = []
    logits = yield [*model.layout.question(question.text).ids.tolist(), *decoded]
    while len(decoded) < max_tokens and not (matcher and matcher.finished):
        probability, token = _most_probable(logits, matcher)
        probabilities.append(probability)
        if model.is_eos(token):
            break
        forced = matcher.accept(token) if matcher else []
        new = [token, *forced][: max_tokens - len(decoded)]
        decoded += new
        on_text(model.detokenize(decoded))
        if len(decoded) < max_tokens and not (matcher and matcher.finished):
            logits = yield new
    text = model.detokenize(decoded)
    mean = sum(probabilities) / max(len(probabilities), 1)
    return ScoredAnswer(parse_object(text) if matcher else text, mean)


def _most_probable(logits: Tensor, matcher: SchemaMatcher | None) -> tuple[float, int]:
    """The most probable allowed token and its probability among the allowed ones."""
    allowed = matcher.mask(logits) if matcher else logits
    probability, token = allowed.softmax(-1).max(-1)
    return float(probability), int(token)


def decode(
    question: Question,
    model: VisionLanguageModel,
    extend: Callable[[Sequence[int]], Tensor],
    max_tokens: int,
) -> ScoredAnswer:
    """Decode a whole answer. `extend` appends tokens and returns the logits after the last one."""
    decoding = greedy_decoding(question, model, max_tokens)
    ids = next(decoding)
    while True:
        try:
            ids = decoding.send(extend(ids))
        except StopIteration as end:
            answer: ScoredAnswer = end.value
            return answer
