"""The MkDocs hook: which links are replaced on the site, and by what."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "docs_hooks", Path(__file__).parents[2] / "docs/hooks.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("see [a](../benchmarks/results/a.json).", "see a (`benchmarks/results/a.json`)."),
        ("[`codecsight/jit.py`](../codecsight/jit.py)", "`codecsight/jit.py`"),
        ("[../README.md](../README.md#try-it)", "`README.md`"),
        ("[a](../a.py) and [b](../b.py)", "a (`a.py`) and b (`b.py`)"),
    ],
)  # fmt: skip
def test_a_link_that_leaves_docs_becomes_code_text(markdown: str, shown: str) -> None:
    assert hooks.replace_outside_links(markdown, "accuracy.md") == shown


@pytest.mark.parametrize(
    "markdown",
    [
        "[engine](engine.md#a-step)",
        "[below](#below)",
        "[vLLM](https://docs.vllm.ai/)",
        "![picture](pictures/accuracy.svg)",
        "`[a](../a.py)`",
        "```\n[a](../a.py)\n```",
    ],
)
def test_other_links_pictures_and_code_are_kept(markdown: str) -> None:
    assert hooks.replace_outside_links(markdown, "accuracy.md") == markdown


def test_links_are_resolved_from_the_folder_of_the_page() -> None:
    markdown = "[up](../engine.md) and [out](../../README.md)"
    page = SimpleNamespace(file=SimpleNamespace(src_uri="reference/core.md"))
    shown = hooks.on_page_markdown(markdown, page=page, config=None, files=None)
    assert shown == "[up](../engine.md) and out (`README.md`)"


def test_a_wildcard_becomes_one_line_for_each_public_module() -> None:
    lines = hooks.list_modules("# patches\n\n::: codecsight.patches.*\n").split("\n\n")
    assert lines[0] == "# patches"
    assert [line.strip() for line in lines[1:]] == [
        "::: codecsight.patches.codec",
        "::: codecsight.patches.cut",
        "::: codecsight.patches.packing",
        "::: codecsight.patches.structure",
    ]


def test_modules_of_subpackages_come_last_and_private_ones_are_left_out() -> None:
    modules = hooks.public_modules("codecsight.engine")
    assert modules.index("codecsight.engine.window") < modules.index(
        "codecsight.engine.attention.pool"
    )
    assert not [name for name in modules if "naive" in name or "__" in name]


def test_a_package_without_modules_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"codecsight\.gone has no public module"):
        hooks.list_modules("::: codecsight.gone.*")
