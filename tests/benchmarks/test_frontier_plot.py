"""The frontier plot: label placement, marks."""

import json
import re
from itertools import combinations

from benchmarks.accuracy.report import plot
from benchmarks.accuracy.report.label_layout import Label, leader_line, place_labels
from benchmarks.record import RESULTS

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


def test_the_plot_shows_every_variant_with_the_default_on_top() -> None:
    result = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))
    picture = plot.svg(result)
    pooled = [r for r in result["rows"] if r["question"] == "all" and r["condition"] == "plain"]
    drawn_rows = [r for r in pooled if r["setting"] in plot.SETTINGS and r["kv"] != "no model"]
    assert picture.count("<title>") == len(drawn_rows)
    drawn = re.findall(r'r="(\d+(?:\.\d)?)"[^>]*><title>', picture)
    assert drawn.count("7") == 2
    assert drawn[-1] == "7"
