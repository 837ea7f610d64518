"""The frontier plot: label placement, marks."""

from itertools import combinations

import pytest

from benchmarks.accuracy.report import plot
from benchmarks.accuracy.report.label_layout import Label, leader_line, place_labels
from benchmarks.accuracy.report.rows import SETTINGS, Result, pooled_rows
from benchmarks.record import RESULTS
from benchmarks.result_file import read_result

PAGE = 0.0, 0.0, 200.0, 200.0


def text_width(text: str) -> float:
    return 5.9 * len(text)


def test_labels_of_nearby_marks_do_not_overlap() -> None:
    labels = [Label(100 + n, 100, f"number {n}") for n in range(6)]
    places = place_labels(labels, [], PAGE)
    for (one, at), (other, there) in combinations(zip(labels, places, strict=True), 2):
        separate = (
            at[0] + text_width(one.text) <= there[0] or there[0] + text_width(other.text) <= at[0]
        )
        assert separate or abs(at[1] - there[1]) >= 11


def test_a_label_stays_within_bounds_and_off_taken_boxes() -> None:
    label, taken = Label(190, 100, "a long name"), (0.0, 90.0, 200.0, 110.0)
    ((x, _),) = place_labels([label], [], PAGE)
    assert x + text_width(label.text) <= 200
    ((_, y),) = place_labels([label], [taken], PAGE)
    assert not 90 < y < 119


def test_a_label_far_from_its_mark_gets_a_leader_line() -> None:
    label = Label(100, 100, "far")
    assert leader_line(label, (108, 104)) is None
    assert leader_line(label, (108, 160)) is not None


@pytest.fixture(scope="module")
def result() -> Result:
    return read_result(RESULTS / "accuracy.json")


def test_the_plot_shows_every_variant_with_the_default_on_top(result: Result) -> None:
    for axes, setting in zip(plot.figure(result).axes, SETTINGS, strict=True):
        rows = pooled_rows(result, setting, "plain")
        expected = {(r["flops_ratio"], r["agreement"]) for r in rows if r["kv"] != "no model"}
        drawn = [tuple(mark.get_offsets()[0]) for mark in axes.collections]  # type: ignore[index]
        assert set(drawn) == expected
        default = next(row for row in rows if row["default"])
        assert drawn[-1] == (default["flops_ratio"], default["agreement"])


def test_the_plot_names_the_variants_and_what_is_off_the_scale(result: Result) -> None:
    picture = plot.svg(result)
    for name in ("the default", "EVS", "pruning alone", "previous answer repeated", "dense"):
        assert picture.count(f">{name}<") >= 2
    assert "off the scale: most frequent answer: 64%" in picture


def test_the_plot_is_the_same_in_every_run_and_follows_the_result(result: Result) -> None:
    changed = {**result, "rows": [{**row, "agreement": 0.9} for row in result["rows"]]}
    assert plot.svg(result) == plot.svg(result)
    assert plot.svg(changed) != plot.svg(result)
