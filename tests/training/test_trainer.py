from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from training import trainer as stages
from training.__main__ import layout_of
from training.network import Learner
from training.recipe import Stage
from training.tokenizer import build_tokenizer
from training.trainer import Progress, Trainer


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two stages of a few windows each, saved after every batch."""
    two_stages = (
        Stage("cells", 9, 3, 1e-3, 1.0, 1.0, 0.0, {1: 1.0}, warmup=1),
        Stage("clips", 4, 4, 1e-3, 0.0, 0.0, 1.0, {2: 1.0}, warmup=1),
    )
    monkeypatch.setattr(stages, "STAGES", two_stages)
    monkeypatch.setattr(stages, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(stages, "_MEASURED_WINDOWS", 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trainer(folder: Path) -> Trainer:
    tokenizer = build_tokenizer()
    learner = Learner.from_scratch(tokenizer, 5)
    return Trainer(learner, layout_of(tokenizer, learner), folder, 5)


class InterruptedRunError(Exception):
    """Simulated interruption."""


def test_an_interrupted_and_resumed_run_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run()
    interrupted = trainer(tmp_path / "interrupted")
    step, calls = interrupted._train_step, iter(range(99))

    def fail_at_the_third(*args: object) -> float:
        if next(calls) == 2:
            raise InterruptedRunError
        return step(*args)

    monkeypatch.setattr(interrupted, "_train_step", fail_at_the_third)
    with pytest.raises(InterruptedRunError):
        interrupted.run()
    resumed = trainer(tmp_path / "interrupted")
    resumed.run()
    assert resumed.progress.stage == 2
    assert [point["stage"] for point in resumed.progress.curve][-1] == "clips"
    weights = resumed.learner.state_dict()
    for name, weight in whole.learner.state_dict().items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=0)


def test_the_vision_tower_is_frozen_at_vision_rate_0(tmp_path: Path) -> None:
    run = trainer(tmp_path)
    after: dict[str, dict[str, torch.Tensor]] = {}
    save = run._save

    def keep(optimizer: torch.optim.Optimizer | None) -> None:
        if optimizer is None:
            state = run.learner.state_dict()
            after[str(run.progress.stage)] = {name: w.clone() for name, w in state.items()}
        save(optimizer)

    run._save = keep  # type: ignore[method-assign]
    run.run()
    moved = {
        name for name, weight in after["2"].items() if not torch.equal(weight, after["1"][name])
    }
    assert not [name for name in moved if ".visual." in name and "deepstack" not in name]
    assert [name for name in moved if "language_model" in name]


def test_a_stages_progress_counts_windows_not_time() -> None:
    stage = Stage("clips", 100, 4, 1e-3, 0.0, 0.0, 1.0, {2: 1.0})
    assert stage.share(25) == 0.25
    assert stage.share(120) == 1.0
    assert Progress(samples=25, seconds=1e9).share(stage) == 0.25
