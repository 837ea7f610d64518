"""A KV window per stream, many streams on one device: what is prefilled, kept, refreshed, asked."""

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
