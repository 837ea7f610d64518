"""Benchmark clips: conditions of the procedural world, encoded with x264 like a camera's stream."""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from codecsight.change.ignore import Polygon
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.world import Renderer
from codecsight.world.rendering.overlays import CLOCK_BOX
from codecsight.world.scene.conditions import condition_scene
from codecsight.world.scene.view import ViewRegion

WIDTH, HEIGHT = 640, 360
TUNING_FAMILIES = ("yard", "street", "hall")
TEST_FAMILIES = ("plaza", "garage", "street")
FIRST_TEST_SEED = 9000
FIRST_NEW_SEED = 9600
"""Seeds from here on were never looked at while thresholds were chosen."""


@dataclass(frozen=True)
class Condition:
    """A difficulty for change detection: in the scene, or in how it is encoded."""

    name: str
    scene: str
    fps: float = 15.0
    profile: EncoderProfile = field(default_factory=EncoderProfile)
    native: bool = False
    """Whether what appears and disappears between two samples counts as change, too."""
    ignore: tuple[Polygon, ...] = ()
    """What all policies are told to ignore (see ChangeTracker)."""


_CLOCK = (
    (CLOCK_BOX.left, CLOCK_BOX.top),
    (CLOCK_BOX.right, CLOCK_BOX.top),
    (CLOCK_BOX.right, CLOCK_BOX.bottom),
    (CLOCK_BOX.left, CLOCK_BOX.bottom),
)

CONDITIONS = (
    Condition("calm", "calm"),
    Condition("exposure", "exposure"),
    Condition("exposure-swing", "exposure-swing"),
    Condition("night", "night", fps=12.0, profile=EncoderProfile(bitrate=600_000)),
    Condition("insects", "insects", fps=20.0, profile=EncoderProfile(bitrate=1_000_000)),
    Condition("shake", "shake", fps=25.0),
    Condition("pan", "pan"),
    Condition("camera-drift", "camera-drift", fps=20.0),
    Condition("ptz", "ptz"),
    Condition("crowd", "crowd", fps=25.0),
    Condition("drift", "drift", fps=10.0),
    Condition("visitor", "visitor", fps=20.0, native=True),
    Condition("state", "state"),
    Condition("clock", "clock", ignore=(_CLOCK,)),
    Condition("b-frames", "calm", profile=EncoderProfile(b_frames=2)),
    Condition("cbr", "calm", profile=EncoderProfile(bitrate=250_000)),
    Condition("gop-250", "calm", fps=30.0, profile=EncoderProfile(gop=250)),
    Condition("smart-codec", "calm", profile=EncoderProfile(gop=900)),
)


@dataclass(frozen=True)
class WorldClip:
    """A clip of `seconds` of a condition, in the place that `family` and `seed` determine."""

    condition: Condition
    family: str
    seed: int
    seconds: float
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def name(self) -> str:
        """The clip's name in results."""
        return f"world/{self.family}/{self.seed}"

    @property
    def frames(self) -> int:
        """Number of frames."""
        return round(self.seconds * self.condition.fps)

    def encoded(self) -> tuple[StreamInfo, list[Packet]]:
        """The stream as a camera would send it."""
        condition, renderer = self.condition, _renderer(self)
        encoder = CameraEncoder(self.width, self.height, condition.fps, condition.profile)
        packets: list[Packet] = []
        for number in range(self.frames):
            t = number / condition.fps
            packets += encoder.encode(renderer.frame(t), t, t)
        return encoder.info, packets + encoder.flush()

    def frame_number(self, time: float) -> int:
        """Number of the frame at that time of the stream."""
        return round(time * self.condition.fps)

    def scene_image(self, number: int) -> NDArray[np.uint8]:
        """The whole scene at that frame, without noise and light drift: RGB, uint8 [3, h, w]."""
        return _scene_image(self, number)

    def view_region(self, number: int) -> ViewRegion:
        """The region of the scene that the frame shows."""
        return _renderer(self).scene.view.region(number / self.condition.fps)

    def light_factor(self, number: int) -> float:
        """Brightness of the scene, as a factor."""
        return _renderer(self).scene.light.factor(number / self.condition.fps)


@lru_cache(maxsize=1)
def _renderer(clip: WorldClip) -> Renderer:
    scene = condition_scene(
        clip.condition.scene, clip.seed, clip.family, aspect=clip.width / clip.height
    )
    return Renderer(scene, clip.width, clip.height)


@lru_cache(maxsize=64)
def _scene_image(clip: WorldClip, number: int) -> NDArray[np.uint8]:
    image = _renderer(clip).scene_image(number / clip.condition.fps)
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def world_clips(quick: bool, tuning: bool = False) -> list[WorldClip]:
    """The clips of a run. Tuning and test share no seed, and one family only."""
    families = TUNING_FAMILIES if tuning else TEST_FAMILIES
    return _clips(quick, families, 0 if tuning else FIRST_TEST_SEED)


def new_world_clips(quick: bool) -> list[WorldClip]:
    """As many clips of the same families and conditions, on seeds from FIRST_NEW_SEED on."""
    return _clips(quick, TEST_FAMILIES, FIRST_NEW_SEED)


def _clips(quick: bool, families: tuple[str, ...], first: int) -> list[WorldClip]:
    if quick:
        size = 3.2, 320, 180
        return [WorldClip(each, families[0], first, *size) for each in CONDITIONS]
    return [
        WorldClip(each, family, first + number, 16.0)
        for each in CONDITIONS
        for number, family in enumerate(families)
    ]
