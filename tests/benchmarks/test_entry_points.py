"""Every benchmark entry point prints help and refuses unknown options."""

from importlib import import_module

import pytest

MODULES = (
    "benchmarks.accuracy.__main__",
    "benchmarks.demo",
    "benchmarks.density.vllm_peer",
    "benchmarks.gpu",
    "benchmarks.operations",
    "benchmarks.soak.__main__",
    "benchmarks.tables",
    "benchmarks.vit_context",
    "benchmarks.windows",
)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize(("option", "status"), [("--help", 0), ("--no-such-option", 2)])
def test_an_entry_point_shows_help_and_refuses_unknown_options(
    name: str, option: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [name, option])
    with pytest.raises(SystemExit) as stopped:
        import_module(name).main()
    assert stopped.value.code == status
