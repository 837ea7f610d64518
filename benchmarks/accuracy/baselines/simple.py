"""Simple baselines that recompute windows of chosen cells, and trivial ones that run no model.

Recomputing baselines get at least the default's budget: EVS as many cells, baselines of whole slots
as many operations (unless the variant fixes the number of slots).
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
from benchmarks.accuracy.evaluation import NO_FLOPS, PROBE, Answers, Cost, WindowAnswers
from benchmarks.accuracy.footage import Footage
from benchmarks.accuracy.variants import Variant
from codecsight.core.question import Question

Choose = Callable[[Footage, int], Chosen]
"""Slots and cells of the window that ends with a slot, by its index."""


def evaluate_recomputed(
    recomputer: WindowRecomputer, footages: Sequence[Footage], variant: Variant, default: Answers
) -> Answers:
    """Evaluate a baseline that recomputes its windows, with the budget of the `default` variant."""
    window, budget = footages[0].stream.setting.window, default.total_cost(footages)
    if variant.change == "evs":
        choose = partial(evs_cells, window, budget.tokens_ratio)
        return _evaluate(recomputer, footages, choose, default)
    answers = Answers()
    for count in [variant.slots] if variant.slots else range(1, window + 1):
        choose = partial(chosen_slots, variant.change, window, count)
        answers = _evaluate(recomputer, footages, choose, default)
        if answers.total_cost(footages).flops_ratio >= budget.flops_ratio:
            break
    return answers


def _evaluate(
    recomputer: WindowRecomputer, footages: Sequence[Footage], choose: Choose, default: Answers
) -> Answers:
    answers = Answers()
    recomputer.reset_cost()
    for each in footages:
        stream, questions = each.stream.url, list(each.questions)
        total = Cost(dense=default.costs[stream].dense)
        recomputer.mark_encoded(each, range(each.stream.setting.window - 1))
        for window in each.windows:
            chosen = choose(each, window.index)
            scored, spent, cells = recomputer.answer(each, chosen, questions, PROBE)
            answers.add_window((stream, window.index), questions, [one.value for one in scored])
            total += Cost(spent, NO_FLOPS, cells, window_cells(each))
        answers.costs[stream] = total
    return answers


def window_cells(footage: Footage) -> int:
    """Number of cells of an unpruned window."""
    return footage.stream.setting.window * footage.grid.cells


def trivial_baseline(footages: Sequence[Footage], change: str, dense: Answers) -> Answers:
    """Answers without running a model, at no cost.

    "constant" gives the dense model's most frequent answer to each question, "repeat" the dense
    model's answer about the window before.
    """
    most_frequent, answers = _most_frequent(dense), Answers()
    for each in footages:
        stream, previous = each.stream.url, most_frequent
        for window in each.windows:
            key = stream, window.index
            answers.answers[key] = {question: previous[question] for question in each.questions}
            previous = most_frequent if change == "constant" else dense.answers[key]
        cells = len(each.windows) * window_cells(each)
        answers.costs[stream] = Cost(dense=dense.costs[stream].dense, cells=cells)
    return answers


def _most_frequent(dense: Answers) -> WindowAnswers:
    """Most frequent answer to each question, over all streams."""
    counts: dict[Question, Counter[str]] = {}
    for answers in dense.answers.values():
        for question, answer in answers.items():
            counts.setdefault(question, Counter())[answer] += 1
    return {question: count.most_common(1)[0][0] for question, count in counts.items()}
