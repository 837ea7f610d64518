"""What each arm answers on the same footage, and what that cost."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.accuracy.baselines.cacheblend import CacheBlendEngine
from benchmarks.accuracy.footage import Footage
from benchmarks.accuracy.variants import Variant
from codecsight.core.question import Question, QuestionKind
from codecsight.core.slot import Slot
from codecsight.engine import Engine, EngineConfig
from codecsight.engine.resources.flops import Flops, Work
from codecsight.models.base import VisionLanguageModel

PROBE = Question("Is there a person?", QuestionKind.YES_NO)
"""The one question that goes with each window in the accounts; all others are an exam."""

Key = tuple[str, int]
"""A stream's URL and the index of a window's newest slot."""
WindowAnswers = dict[Question, str]
Value = bool | int | str | dict[str, Any]
Change = Callable[[Footage], Sequence[Slot]]
NOTHING = Flops()


@dataclass(frozen=True, slots=True)
class Cost:
    """Operations `spent` on full windows with one question each, and by the `dense` model on the
    same; cells prefilled for the first time, of all that there were.
    """

    spent: Flops = NOTHING
    dense: Flops = NOTHING
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
        """Executed over dense."""
        return self.spent.total / self.dense.total

    @property
    def tokens_ratio(self) -> float:
        """Cells kept of all."""
        return self.kept / self.cells


@dataclass(frozen=True, slots=True)
class Answers:
    """An arm's answers by window and question, as options' words, and its accounts by stream."""

    answers: dict[Key, WindowAnswers] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)

    def take(self, key: Key, questions: Iterable[Question], values: Iterable[Value]) -> None:
        """Write down what was said of a window."""
        pairs = zip(questions, values, strict=True)
        self.answers[key] = {question: option_text(value) for question, value in pairs}

    def total_cost(self, footages: Iterable[Footage]) -> Cost:
        """Of these streams together."""
        return sum((self.costs[each.stream.url] for each in footages), Cost())


def option_text(value: Value) -> str:
    """An answer as one of its question's options."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def evaluate(model: VisionLanguageModel, footages: Sequence[Footage], arm: Variant) -> Answers:
    """An arm that runs in the engine."""
    assert arm.config is not None
    return evaluate_slots(model, footages, arm.config, lambda each: each.slots[arm.change])


def evaluate_slots(
    model: VisionLanguageModel, footages: Sequence[Footage], config: EngineConfig, change: Change
) -> Answers:
    """The streams side by side in one engine, slot by slot."""
    blocks = max(config.kv_blocks, 300 * len(footages))
    hall = _StreamBatch(Engine(model, replace(config, kv_blocks=blocks)), footages, change)
    for index in range(hall.length):
        hall.show(index)
        if index == config.window - 2:  # the next one fills the windows
            hall.start_cost()
        hall.examine(index)
    hall.finish_cost()
    return hall.heard


class _StreamBatch:
    """Many streams before one engine, and the accounts of it."""

    def __init__(self, engine: Engine, footages: Sequence[Footage], change: Change) -> None:
        self.heard = Answers()
        self._engine, self._footages = engine, footages
        self._slots = {each.stream.url: change(each) for each in footages}
        self._windows = {(e.stream.url, w.index): e for e in footages for w in e.windows}
        self.length = max(map(len, self._slots.values()))
        for each in footages:
            engine.open(each.stream.url, each.grid)
        self.start_cost()

    def start_cost(self) -> None:
        """What came before doesn't count."""
        self._before = self._work()
        self._exam = dict.fromkeys(self._slots, Work())

    def show(self, index: int) -> None:
        """The next slot of every stream, with the probe if it completes a stride."""
        for stream, slots in self._slots.items():
            if index < len(slots):
                self._engine.submit(stream, slots[index], [PROBE])
        self._work_off()

    def examine(self, index: int) -> None:
        """Ask everything of the windows that end with this slot; it is not on the account."""
        before, asked = self._work(), {}
        for stream in self._slots:
            if (stream, index) in self._windows:
                questions = list(self._windows[stream, index].questions)
                asked[self._engine.submit_questions(stream, questions)] = stream, questions
        for ticket, values in self._work_off().items():
            stream, questions = asked[ticket]
            self.heard.take((stream, index), questions, values)
        for stream, after in self._work().items():
            self._exam[stream] += _minus(after, before[stream])

    def finish_cost(self) -> None:
        """Write down what each stream came to."""
        for stream, after in self._work().items():
            work = _minus(_minus(after, self._before[stream]), self._exam[stream])
            self.heard.costs[stream] = cost_of(work, self._slots[stream])

    def _work(self) -> dict[str, Work]:
        return {name: each.work for name, each in self._engine.status().streams.items()}

    def _work_off(self) -> dict[int, list[Value]]:
        said: dict[int, list[Value]] = {}
        while self._engine.busy:
            for result in self._engine.step():
                if result.error is not None:
                    raise result.error
                said[result.ticket] = [answer.value for answer in result.answers]
        return said


def cost_of(work: Work, slots: Sequence[Slot]) -> Cost:
    """What work on all these slots of a stream came to."""
    kept, cells = (sum(counts) for counts in zip(*map(_cells, slots), strict=True))
    return Cost(work.spent, work.recompute, kept, cells)


def _cells(slot: Slot) -> tuple[int, int]:
    return slot.kept_count, slot.cell_count


def evaluate_cacheblend(
    engine: CacheBlendEngine,
    footages: Sequence[Footage],
    change: Change = lambda f: f.slots["tracked"],
) -> Answers:
    """The same under CacheBlend."""
    heard, config = Answers(), engine.config
    for each in footages:
        stream, slots = each.stream.url, change(each)
        engine.open(stream, each.grid)
        windows, exam, before = {window.index for window in each.windows}, Work(), Work()
        for index, slot in enumerate(slots):
            if engine.push(stream, slot).moved:
                engine.ask(stream, PROBE)
            if index == config.window - 2:
                before, exam = engine.work(stream), Work()
            if index in windows:
                started = engine.work(stream)
                answers = engine.ask_all(stream, list(each.questions))
                heard.take((stream, index), each.questions, [said.value for said in answers])
                exam += _minus(engine.work(stream), started)
        heard.costs[stream] = cost_of(_minus(_minus(engine.work(stream), before), exam), slots)
        engine.close(stream)
    return heard


def _minus(work: Work, other: Work) -> Work:
    pairs = zip(
        (work.spent, work.recompute, work.once),
        (other.spent, other.recompute, other.once),
        strict=True,
    )
    return Work(*(Flops(one.vit - two.vit, one.llm - two.llm) for one, two in pairs))
