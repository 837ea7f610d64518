"""Procedural CCTV with exact ground truth: demo cameras, test input and training data."""

from codecsight.world.labels.ground_truth import (
    ActorState,
    GroundTruth,
    SceneEvent,
    SceneEventKind,
    ground_truth,
    scene_events,
)
from codecsight.world.rendering.renderer import Renderer
from codecsight.world.scene.actor import COLOURS, Actor, ActorKind, Box, Waypoint
from codecsight.world.scene.families import FAMILIES, HELD_OUT_FAMILIES, TRAINING_FAMILIES
from codecsight.world.scene.scene import Scene

__all__ = [
    "COLOURS",
    "FAMILIES",
    "HELD_OUT_FAMILIES",
    "TRAINING_FAMILIES",
    "Actor",
    "ActorKind",
    "ActorState",
    "Box",
    "GroundTruth",
    "Renderer",
    "Scene",
    "SceneEvent",
    "SceneEventKind",
    "Waypoint",
    "ground_truth",
    "scene_events",
]
