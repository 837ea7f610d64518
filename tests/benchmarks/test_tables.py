"""README, docs and the plot are generated from the committed results."""

from benchmarks import measured
from benchmarks.accuracy.report import peers
from benchmarks.accuracy.report import tables as report
from benchmarks.record import RESULTS
from benchmarks.result_file import read_result
from benchmarks.tables import (
    ACCURACY,
    FRONTIER,
    MEASURED,
    README,
    SIGNALS,
    generated_files,
    outdated,
)


def test_generated_files_are_up_to_date() -> None:
    assert set(generated_files()) == {README, MEASURED, SIGNALS, ACCURACY, FRONTIER}
    assert outdated() == []


def test_other_results_generate_other_tables() -> None:
    result = read_result(RESULTS / "accuracy.json")
    before = report.parts(result)
    for row in result["rows"]:
        row["agreement"] = 0.5
    after = report.parts(result)
    assert "**missed**" in after["targets"]
    for name in ("targets", "change", "kv", "stress", "questions", "content"):
        assert after[name] != before[name]


def test_readme_compares_with_the_peers_in_one_table() -> None:
    result = read_result(RESULTS / "accuracy.json")
    text = peers.readme_part(result)
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert 6 <= len(rows) <= 8
    assert {line.count("|") for line in rows} == {8}
    assert "docs/measured.md" in text


def test_readme_admits_missed_targets_and_better_peers() -> None:
    result = read_result(RESULTS / "accuracy.json")
    assert "misses its target" in peers.readme_part(result)
    assert "agrees more often" in peers.readme_part(result)
    for row in result["rows"]:
        row["agreement"] = 0.99
    assert "misses" not in peers.readme_part(result)
    assert "more often" not in peers.readme_part(result)


def test_every_benchmark_has_a_section_with_command_and_result() -> None:
    text = MEASURED.read_text(encoding="utf-8")
    for section in measured.SECTIONS:
        assert f"## {section.heading}\n\n`{section.command}`" in text
    for path in RESULTS.glob("*.json"):
        assert f"(../benchmarks/results/{path.name})" in text
