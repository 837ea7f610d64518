"""Simple baselines: whole windows of chosen slots, each computed anew, and answers without looking.

Those that look are given at least as much as ours took: cells for EVS, operations for those that
choose whole slots, unless the arm says how many slots.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.accuracy.baselines.recompute import (
    Chosen,
    WindowRecomputer,
    chosen_slots,
    evs_cells,
)
from benchmarks.accuracy.evaluation import NOTHING, PROBE, Answers, Cost, WindowAnswers
from benchmarks.accuracy.footage import Footage
from benchmarks.accuracy.variants import Variant
from codecsight.core.question import Question

Choose = Callable[[Footage, int], Chosen]


def evaluate_recomputed(
    fresh: WindowRecomputer, footages: Sequence[Footage], arm: Variant, ours: Answers
) -> Answers:
    """A baseline that computes its windows anew."""
    window, budget = footages[0].stream.setting.window, ours.total_cost(footages)
    if arm.change == "evs":
        return _fresh(fresh, footages, partial(evs_cells, window, budget.tokens_ratio), ours)
    heard = Answers()
    for count in [arm.slots] if arm.slots else range(1, window + 1):
        choose = partial(chosen_slots, arm.change, window, count)
        heard = _fresh(fresh, footages, choose, ours)
        if heard.total_cost(footages).flops_ratio >= budget.flops_ratio:
            break
    return heard


def _fresh(
    fresh: WindowRecomputer, footages: Sequence[Footage], choose: Choose, ours: Answers
) -> Answers:
    heard = Answers()
    fresh.begin()
    for each in footages:
        stream, questions = each.stream.url, list(each.questions)
        total = Cost(dense=ours.costs[stream].dense)
        fresh.grant(each, range(each.stream.setting.window - 1))
        for window in each.windows:
            said, spent, cells = fresh.answer(each, choose(each, window.index), questions, PROBE)
            heard.take((stream, window.index), questions, [one.value for one in said])
            total += Cost(spent, NOTHING, cells, window_cells(each))
        heard.costs[stream] = total
    return heard


def window_cells(footage: Footage) -> int:
    """Of a dense window."""
    return footage.stream.setting.window * footage.grid.cells


def trivial_baseline(footages: Sequence[Footage], change: str, dense: Answers) -> Answers:
    """What agreement is worth nothing: "constant" says what the dense model says most often, and
    "repeat" what it said of the window before, told for free. No operations are on their account.
    """
    usual, heard = _most_frequent(dense), Answers()
    for each in footages:
        stream, before = each.stream.url, usual
        for window in each.windows:
            key = stream, window.index
            heard.answers[key] = {question: before[question] for question in each.questions}
            before = usual if change == "constant" else dense.answers[key]
        cells = len(each.windows) * window_cells(each)
        heard.costs[stream] = Cost(dense=dense.costs[stream].dense, cells=cells)
    return heard


def _most_frequent(dense: Answers) -> WindowAnswers:
    """By question, over all streams."""
    counts: dict[Question, Counter[str]] = {}
    for answers in dense.answers.values():
        for question, said in answers.items():
            counts.setdefault(question, Counter())[said] += 1
    return {question: count.most_common(1)[0][0] for question, count in counts.items()}
