"""Memory use of the tracker over a day of frames."""

import gc
import tracemalloc

from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from tests.change.synthetic_camera import SyntheticCamera

SLOTS = 20


def test_memory_does_not_grow_with_time(camera: SyntheticCamera) -> None:
    """Tracks some slots of every hour, so that anything kept per slot or per hour would show."""
    tracker = ChangeTracker(camera.grid, make_policy("tracked", camera.grid), anchor_every=16)
    images = [camera.frame(camera.with_cell(2, n % 8), 0.0) for n in range(3)]

    def track(start: float) -> int:
        for number in range(SLOTS * 10):
            frame = images[number // 5 % 3]
            moving = camera.signals(a=(2, number % 8, 2.0), b=(1, 1, 0.3))
            tracker.feed(camera.frame(frame.picture.to_ndarray(), start + number / 10, moving))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        track(0.0)
        first = track(3600.0)
        for hour in range(2, 6):
            last = track(3600.0 * hour)
    finally:
        tracemalloc.stop()
    assert last - first < 8_000  # a bitmap kept for each of the 80 slots would exceed it
