"""The policies on real CCTV: people are shipped, the background mostly is not.

What the receiver has (`last_shipped`) is compared with the true picture inside annotated boxes
around people.
"""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from codecsight.change.policies import ChangePolicy, RandomPolicy, make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.grid import GridSpec
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import decode_stream
from codecsight.video.codec.resizer import Resizer

CLIP = "vtest_h264_10fps_gop50.mp4"  # 768 x 576
GRID = GridSpec(cell=32, frames=2, rate=2.0, max_cells=144).fit(768, 576)
FRAMES = 200

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels of model input


def person_boxes(path: Path) -> dict[int, list[Box]]:
    boxes: dict[int, list[Box]] = defaultdict(list)
    wide, high = GRID.width / 768, GRID.height / 576
    for row in csv.reader(path.read_text().splitlines()):
        left, top, width, height = (max(float(value), 0) for value in row[2:6])
        right, bottom = int((left + width) * wide), int((top + height) * high)
        boxes[int(row[0]) - 1].append((int(left * wide), int(top * high), right, bottom))
    return boxes


def track(clips: Path, policy: ChangePolicy) -> tuple[float, float]:
    """Track the clip; returns the share of cells kept, and the mean difference in grey levels
    between what was shipped and the true picture inside the boxes.
    """
    tracker = ChangeTracker(GRID, policy, anchor_every=10)
    resizer, boxes = Resizer(GRID.width, GRID.height), person_boxes(clips / "vtest.boxes.txt")
    errors = []
    frames = decode_stream(open_source(str(clips / CLIP)).items())
    for number, frame in zip(range(FRAMES), frames, strict=False):
        if tracker.feed(frame) is None:
            continue
        assert tracker.last_shipped is not None
        shipped = tracker.last_shipped[-1].astype(float)
        error = np.abs(shipped - resizer.rgb(frame)).mean(axis=2)
        errors += [error[t:b, left:r] for left, t, r, b in boxes[number]]
    counters = tracker.counters
    return counters.kept / counters.total, float(np.concatenate([e.ravel() for e in errors]).mean())


@pytest.mark.parametrize("name", ["tracked", "pixels"])
def test_people_are_shipped_with_less_than_half_of_the_cells(clips: Path, name: str) -> None:
    kept, error = track(clips, make_policy(name, GRID))
    assert kept < 0.5
    assert error < 1.0


def test_random_with_as_many_cells_misses_people(clips: Path) -> None:
    _, error = track(clips, RandomPolicy(GRID, share=0.33))
    assert error > 10.0


def test_the_published_rule_keeps_nearly_every_cell_at_native_frame_rate(clips: Path) -> None:
    kept, error = track(clips, make_policy("published", GRID))
    assert kept > 0.9
    assert error < 1.0
