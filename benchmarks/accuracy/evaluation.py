"""Answers of a variant on rendered footage, and the operations they cost.

All streams run together in one engine, slot by slot. When a window is complete, the engine answers
one probe question, which is charged to the variant, and then the whole question set, which is not.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.accuracy.footage import Footage
from benchmarks.accuracy.variants import Variant
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.resources.flops import Flops, Work
from codecsight.models.base import VisionLanguageModel

PROBE = Question("Is there a person?", QuestionKind.YES_NO)
"""The question whose operations are charged for each window."""

Key = tuple[str, int]
"""A stream's URL and the index of a window's newest slot."""
WindowAnswers = dict[Question, str]
"""Answers about one window, as option texts."""
Value = bool | int | str | dict[str, Any]
SelectSlots = Callable[[Footage], Sequence[Slot]]
NO_FLOPS = Flops()


@dataclass(frozen=True, slots=True)
class Cost:
    """Operations and tokens over all full windows, with one question each.

    `spent`: operations of the variant. `dense`: operations of the dense model on the same windows.
    `kept`: cells prefilled for the first time. `cells`: cells in total.
    """

    spent: Flops = NO_FLOPS
    dense: Flops = NO_FLOPS
    kept: int = 0
    cells: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.spent + other.spent,
            self.dense + other.dense,
            self.kept + other.kept,
            self.cells + other.cells,
        )

    @property
    def flops_ratio(self) -> float:
        """Operations as a share of the dense model's."""
        return self.spent.total / self.dense.total

    @property
    def tokens_ratio(self) -> float:
        """Share of cells kept."""
        return self.kept / self.cells


@dataclass(frozen=True, slots=True)
class Answers:
    """A variant's answers by window and question, and its costs by stream URL."""

    answers: dict[Key, WindowAnswers] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    def add_window(self, key: Key, questions: Iterable[Question], values: Iterable[Value]) -> None:
        """Record the answers about one window."""
        pairs = zip(questions, values, strict=True)
        self.answers[key] = {question: option_text(value) for question, value in pairs}

    def total_cost(self, footages: Iterable[Footage]) -> Cost:
        """Sum of the costs of these streams."""
        return sum((self.costs[each.stream.url] for each in footages), Cost())


def option_text(value: Value) -> str:
    """Return an answer's value as the text of one of its question's options."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def evaluate(model: VisionLanguageModel, footages: Sequence[Footage], variant: Variant) -> Answers:
    """Evaluate a variant that runs in the engine."""
    assert variant.config is not None
    return evaluate_slots(model, footages, variant.config, lambda each: each.slots[variant.change])


def evaluate_slots(
    model: VisionLanguageModel,
    footages: Sequence[Footage],
    config: EngineConfig,
    select_slots: SelectSlots,
) -> Answers:
    """Evaluate the slots that `select_slots` picks for each stream, under `config`."""
    blocks = max(config.kv_blocks, 300 * len(footages))
    engine = Engine(model, replace(config, kv_blocks=blocks))
    batch = _StreamBatch(engine, footages, select_slots)
    for index in range(batch.length):
        batch.submit_slots(index)
        if index == config.window - 2:  # the next slot fills the windows
            batch.start_cost()
        batch.answer_question_sets(index)
    batch.finish_cost()
    return batch.answers


class _StreamBatch:
    """All streams of a batch in one engine, with the costs of each."""

    def __init__(
        self, engine: Engine, footages: Sequence[Footage], select_slots: SelectSlots
    ) -> None:
        self.answers = Answers()
        self._engine = engine
        self._slots = {each.stream.url: select_slots(each) for each in footages}
        self._windows = {(e.stream.url, w.index): e for e in footages for w in e.windows}
        self.length = max(map(len, self._slots.values()))
        for each in footages:
            engine.open(each.stream.url, each.grid)
        self.start_cost()

    def start_cost(self) -> None:
        """Leave all work done so far out of the costs."""
        self._before = self._work()
        self._question_set_work = dict.fromkeys(self._slots, Work())

    def submit_slots(self, index: int) -> None:
        """Submit slot `index` of every stream. The engine answers the probe on complete strides."""
        for stream, slots in self._slots.items():
            if index < len(slots):
                self._engine.submit(stream, slots[index], [PROBE])
        self._run()

    def answer_question_sets(self, index: int) -> None:
        """Ask the question sets of the windows that end with slot `index`, free of charge."""
        before, submitted = self._work(), {}
        for stream in self._slots:
            if (stream, index) in self._windows:
                questions = list(self._windows[stream, index].questions)
                submitted[self._engine.submit_questions(stream, questions)] = stream, questions
        for ticket, values in self._run().items():
            stream, questions = submitted[ticket]
            self.answers.add_window((stream, index), questions, values)
        for stream, after in self._work().items():
            self._question_set_work[stream] += subtract_work(after, before[stream])

    def finish_cost(self) -> None:
        """Record the cost of each stream."""
        for stream, after in self._work().items():
            total = subtract_work(after, self._before[stream])
            work = subtract_work(total, self._question_set_work[stream])
            self.answers.costs[stream] = cost_of(work, self._slots[stream])

    def _work(self) -> dict[str, Work]:
        return {name: each.work for name, each in self._engine.status().streams.items()}

    def _run(self) -> dict[int, list[Value]]:
        """Step until the engine is idle; returns the answers by ticket."""
        answers: dict[int, list[Value]] = {}
        while self._engine.busy:
            for result in self._engine.step():
                if result.error is not None:
                    raise result.error
                answers[result.ticket] = [answer.value for answer in result.answers]
        return answers


def cost_of(work: Work, slots: Sequence[Slot]) -> Cost:
    """Cost of `work` on all these slots of a stream."""
    kept, cells = (sum(counts) for counts in zip(*map(_cells, slots), strict=True))
    return Cost(work.spent, work.recompute, kept, cells)


def _cells(slot: Slot) -> tuple[int, int]:
    return slot.kept_count, slot.cell_count


def subtract_work(work: Work, other: Work) -> Work:
    """Return `work - other`, part by part."""
    pairs = zip(
        (work.spent, work.recompute, work.once),
        (other.spent, other.recompute, other.once),
        strict=True,
    )
    return Work(*(Flops(one.vit - two.vit, one.llm - two.llm) for one, two in pairs))
