"""Windows as a real camera gives them: rendered large, encoded, decoded, scaled down."""

from collections.abc import Iterator
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from codecsight.change.sampler import FrameSampler
from codecsight.video.decoder import Decoder
from codecsight.video.frame import Frame
from codecsight.video.packet import StreamInfo
from codecsight.video.picture import Resizer
from codecsight.video.source import SourceOptions
from codecsight.world import truth
from codecsight.world.source import WorldCamera, WorldSource
from training.clips import Clip
from training.recipe import CELL, FRAMES, RATE


def filmed(family: str, seed: int, seconds: int, slots: int, grid: tuple[int, int]) -> list[Clip]:
    """Consecutive windows of `slots` slots from `seconds` of a 640x480 H.264 camera."""
    settings = urlencode({"seed": seed, "seconds": seconds})
    camera = WorldCamera.parse(f"world://{family}?{settings}")
    scene, samples = camera.scene, list(_samples(camera, grid))
    clips = []
    for first in range(0, len(samples) - slots * FRAMES + 1, slots * FRAMES):
        part = samples[first : first + slots * FRAMES]
        times = tuple(time for time, _ in part)
        frames = np.stack([picture for _, picture in part])
        clips.append(Clip(frames, times, tuple(truth(scene, t) for t in times), family))
    return clips


def _samples(
    camera: WorldCamera, grid: tuple[int, int]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The sampled pictures with their times, at the model's size."""
    sampler = FrameSampler(RATE)
    resizer = Resizer(grid[1] * CELL, grid[0] * CELL)
    for frame in _frames(camera):
        if sampler.wants(frame.time):
            yield frame.time, resizer.rgb(frame)


def _frames(camera: WorldCamera) -> Iterator[Frame]:
    items = WorldSource(camera, SourceOptions()).items()
    info = next(items)
    assert isinstance(info, StreamInfo)  # noqa: S101 - a source begins with it
    decoder = Decoder(info)
    for item in items:
        if not isinstance(item, StreamInfo):
            yield from decoder.decode(item)
