"""Procedural CCTV with exact ground truth: demo cameras, test input and training data.

`scene` describes what happens at a place, `rendering` draws it, `labels` derives the ground truth
and questions with true answers, and `source` serves it as a `world://` camera.
"""

from codecsight.world.labels.events import SceneEvent, SceneEventKind, scene_events
from codecsight.world.labels.ground_truth import ActorState, GroundTruth, ground_truth
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
