"""The documentation site: it builds strictly, loads nothing from other hosts, and is complete."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
FOLDERS = (
    "answers", "archive", "change", "core", "engine", "models", "patches", "uplink", "video",
)  # fmt: skip


def _build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    # Not with --quiet: it drops the warnings before --strict counts them.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    return subprocess.run(
        [*command, "--config-file", str(config), "--site-dir", str(site)],
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = _build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stderr
    return folder


class _Loads(HTMLParser):
    """Collects the addresses that a browser loads by itself: all but the links people follow."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.found += [value for name, value in attrs if name in ("src", "href") and value]


def _is_external(address: str) -> bool:
    return address.startswith(("http:", "https:", "//"))


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    loads = [(page, found) for page in site.rglob("*.html") for found in _Loads(page).found]
    assert loads
    assert not [(page, found) for page, found in loads if _is_external(found)]


def test_no_style_sheet_loads_anything_from_another_host(site: Path) -> None:
    sheets = list(site.rglob("*.css"))
    loads = [
        found
        for sheet in sheets
        for found in re.findall(r"(?:url\(|@import )['\"]?([^'\")]+)", sheet.read_text())
    ]
    assert sheets
    assert not [found for found in loads if _is_external(found)]


def test_an_external_load_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<a href="https://a"></a><script src="https://b"></script><link href="c.css">')
    assert [found for found in _Loads(page).found if _is_external(found)] == ["https://b"]


def test_pages_hold_docstrings_and_no_sources(site: Path) -> None:
    page = (site / "reference/core/index.html").read_text(encoding="utf-8")
    assert 'id="codecsight.core.packet.Packet"' in page
    assert "Encoded packets of a stream" in page
    assert not list(site.rglob("*.py"))


def test_a_link_out_of_docs_is_shown_as_code(site: Path) -> None:
    page = (site / "accuracy/index.html").read_text(encoding="utf-8")
    assert "<code>benchmarks/results/accuracy.json</code>" in page
    assert 'href="../../benchmarks' not in page


@pytest.mark.parametrize("link", ["gone.md", "index.md#gone", "../outside.md", "/gone", "gone/"])
def test_a_broken_link_fails_the_build(link: str, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text(f"# Index\n\n[text]({link})\n")
    validation = re.search(r"^validation:\n(?: .*\n)+", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert validation is not None
    config = tmp_path / "mkdocs.yml"
    config.write_text(f"site_name: broken\n{validation[0]}")
    built = _build(config, tmp_path / "site")
    assert built.returncode != 0
    assert link.partition("#")[2] or link in built.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_page_of_a_folder_describes_its_modules(folder: str, site: Path) -> None:
    page = (site / f"reference/{folder}/index.html").read_text(encoding="utf-8")
    described = set(re.findall(r'<h2 id="(codecsight\.[\w.]+)"', page))
    files = (ROOT / "codecsight" / folder).glob("*.py")
    assert described >= {f"codecsight.{folder}.{f.stem}" for f in files if f.stem[0] != "_"}


def test_every_folder_of_the_library_that_others_use_has_a_page() -> None:
    pages = {page.stem for page in REFERENCE.glob("*.md")}
    assert pages == {*FOLDERS, "index", "pipelines"}


def test_the_example_of_the_reference_runs() -> None:
    code = re.search(r"```python\n(.*?)```", (REFERENCE / "index.md").read_text(), re.S)
    assert code is not None
    run = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "Is there a person? True" in run.stdout
