"""Numbers in README come from the committed results."""

from benchmarks.tables import README, with_tables


def test_readme_is_made_from_the_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text) == text
