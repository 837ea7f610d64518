"""Names in the picture of the frontier can be read."""

import json
import re
from itertools import combinations

from benchmarks.accuracy.report import plot
from benchmarks.accuracy.report.label_layout import Label, leader, placed
from benchmarks.record import RESULTS

PAGE = 0.0, 0.0, 200.0, 200.0


def width(text: str) -> float:
    return 5.9 * len(text)


def test_names_of_marks_that_lie_together_do_not() -> None:
    labels = [Label(100 + n, 100, f"number {n}") for n in range(6)]
    places = placed(labels, [], PAGE)
    for (one, at), (other, there) in combinations(zip(labels, places, strict=True), 2):
        beside = at[0] + width(one.text) <= there[0] or there[0] + width(other.text) <= at[0]
        assert beside or abs(at[1] - there[1]) >= 11


def test_a_name_stays_on_the_page_and_off_what_is_taken() -> None:
    label, right = Label(190, 100, "a long name"), (0.0, 90.0, 200.0, 110.0)
    ((x, _),) = placed([label], [], PAGE)
    assert x + width(label.text) <= 200
    ((_, y),) = placed([label], [right], PAGE)
    assert not 90 < y < 119


def test_a_name_far_from_its_mark_is_led_to() -> None:
    label = Label(100, 100, "far")
    assert leader(label, (108, 104)) is None
    assert leader(label, (108, 160)) is not None


def test_the_picture_holds_every_pair_and_the_default_is_on_top() -> None:
    result = json.loads((RESULTS / "accuracy.json").read_text(encoding="utf-8"))
    picture = plot.svg(result)
    pooled = [r for r in result["rows"] if r["question"] == "all" and r["condition"] == "plain"]
    looking = [r for r in pooled if r["setting"] in plot.SETTINGS and r["kv"] != "no model"]
    assert picture.count("<title>") == len(looking)
    drawn = re.findall(r'r="(\d+(?:\.\d)?)"[^>]*><title>', picture)
    assert drawn.count("7") == 2
    assert drawn[-1] == "7"
