"""A KV window per stream: what is prefilled, kept, refreshed and asked."""

from codecsight.engine.config import EngineConfig, Present
from codecsight.engine.engine import Engine, EngineStatus, StreamStatus
from codecsight.engine.errors import AdmissionRefused, EngineError, SlotRefused
from codecsight.engine.flops import Flops, Work
from codecsight.engine.session import Step

__all__ = [
    "AdmissionRefused",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineStatus",
    "Flops",
    "Present",
    "SlotRefused",
    "Step",
    "StreamStatus",
    "Work",
]
