"""A KV window per stream, many streams on one device: what is prefilled, kept, refreshed, asked."""

from codecsight.engine.config import EngineConfig, Evict, Present
from codecsight.engine.engine import Engine
from codecsight.engine.errors import (
    AdmissionRefused,
    DeviceBusy,
    EngineError,
    NeedAnchor,
    SlotRefused,
)
from codecsight.engine.resources.flops import Flops, Work
from codecsight.engine.results import Result, Step
from codecsight.engine.status import EngineStatus, StreamStatus

__all__ = [
    "AdmissionRefused",
    "DeviceBusy",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineStatus",
    "Evict",
    "Flops",
    "NeedAnchor",
    "Present",
    "Result",
    "SlotRefused",
    "Step",
    "StreamStatus",
    "Work",
]
