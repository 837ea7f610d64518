"""Procedural CCTV with exact ground truth: demo cameras, test input and training data."""

from codecsight.world.actor import COLOURS, Actor, Box, Kind, Waypoint
from codecsight.world.families import FAMILIES, HELD_OUT, TRAINING
from codecsight.world.renderer import Renderer
from codecsight.world.scene import Scene
from codecsight.world.truth import Event, EventKind, Seen, Truth, events, truth

__all__ = [
    "COLOURS",
    "FAMILIES",
    "HELD_OUT",
    "TRAINING",
    "Actor",
    "Box",
    "Event",
    "EventKind",
    "Kind",
    "Renderer",
    "Scene",
    "Seen",
    "Truth",
    "Waypoint",
    "events",
    "truth",
]
