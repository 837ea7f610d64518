"""Serves questions about many streams from one model: a KV window per stream, packed model calls.

Example: two cameras, a slot of each, one question.

    engine = Engine(load_model(), EngineConfig(window=8, stride=2))
    for camera, slot in (("gate", gate_slot), ("yard", yard_slot)):
        engine.open(camera, grid)
        engine.submit(camera, slot)
    engine.submit_questions("gate", [Question.parse("Is there a person?")])
    while engine.busy:
        results = engine.step()  # list of JobResult: slot results, answers, errors

The names are imported when they are used: importing `codecsight.engine.errors` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codecsight.engine.config import EngineConfig, EvictionPolicy, QueryView
    from codecsight.engine.engine import Engine
    from codecsight.engine.errors import (
        AdmissionRefused,
        AnchorRequired,
        DeviceBusy,
        EngineError,
        SlotRefused,
    )
    from codecsight.engine.resources.flops import Flops, Work
    from codecsight.engine.results import EngineStatus, JobResult, SessionStats, SlotResult

__all__ = [
    "AdmissionRefused",
    "AnchorRequired",
    "DeviceBusy",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineStatus",
    "EvictionPolicy",
    "Flops",
    "JobResult",
    "QueryView",
    "SessionStats",
    "SlotRefused",
    "SlotResult",
    "Work",
]

_MODULES = ("config", "errors", "results", "resources.flops", "engine")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for module in _MODULES:
            found = vars(import_module(f"{__name__}.{module}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
