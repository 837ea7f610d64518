"""Windows as a real camera gives them: encoded, decoded and scaled to the model's size."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from numpy.typing import NDArray

from codecsight.change.sampler import FrameSampler
from codecsight.core.frame import Frame
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceOptions
from codecsight.video.codec.decoder import decode_stream
from codecsight.video.codec.resizer import Resizer
from codecsight.world import ground_truth
from codecsight.world.source import WorldCamera, WorldSource
from training.data.clips import Clip
from training.recipe import CELL, FRAMES, RATE


def filmed_clips(
    family: str,
    seed: int,
    seconds: int,
    slots: int,
    grid: tuple[int, int],
    condition: str | None = None,
) -> list[Clip]:
    """Consecutive windows of `slots` slots from `seconds` of a 640x480 H.264 camera.

    `condition` names one of the world's conditions, None is the usual scene.
    """
    extra = {"condition": condition} if condition else {}
    settings = urlencode({"seed": seed, "seconds": seconds, **extra})
    camera = WorldCamera.parse(f"world://{family}?{settings}")
    items = WorldSource(camera, SourceOptions()).items()
    scene, samples = camera.scene, list(_sampled(decode_stream(items), grid))
    clips = []
    for first in range(0, len(samples) - slots * FRAMES + 1, slots * FRAMES):
        part = samples[first : first + slots * FRAMES]
        times = tuple(time for time, _ in part)
        frames = np.stack([picture for _, picture in part])
        clips.append(Clip(frames, times, tuple(ground_truth(scene, t) for t in times), family))
    return clips


def _sampled(
    frames: Iterator[Frame], grid: tuple[int, int]
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The sampled frames with their times, RGB at the model's size."""
    sampler = FrameSampler(RATE)
    resizer = Resizer(grid[1] * CELL, grid[0] * CELL)
    for frame in frames:
        if sampler.should_sample(frame.time):
            yield frame.time, resizer.rgb(frame)


def recorded_windows(
    path: Path, slots: int, grid: tuple[int, int]
) -> list[tuple[tuple[float, ...], NDArray[np.uint8]]]:
    """Consecutive windows of a recording: times, and frames uint8 [slots * 2, h, w, 3]."""
    samples = list(_sampled(decode_stream(open_source(str(path)).items()), grid))
    size = slots * FRAMES
    parts = [samples[i : i + size] for i in range(0, len(samples) - size + 1, size)]
    return [(tuple(time for time, _ in part), np.stack([p for _, p in part])) for part in parts]
