"""Compiles the loops of change tracking before they are needed or measured."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_motion import estimate_camera_motion
from codecsight.change.policies import make_policy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.grid import GridSpec
from codecsight.video.codec.decoder import Decoder
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile

_WIDTH, _HEIGHT, _RATE, _SECONDS = 256, 192, 10, 7
_BLINK_AT, _PAN_AT, _ZOOM_AT, _STOP_AT, _DARK_AT = 17, 24, 36, 48, 58  # frames


def warm_up(policy: str = "tracked") -> None:
    """Decode and track a short synthetic clip, so that every loop that `policy` needs is compiled.

    The clip has each kind of change: a moving object, one that blinks, a camera that pans and
    zooms, and a change of exposure. The first call on a machine takes many seconds; later ones load
    compiled code.
    """
    encoder = CameraEncoder(_WIDTH, _HEIGHT, _RATE, EncoderProfile(gop=20, preset="ultrafast"))
    decoder = Decoder(encoder.info)
    grid = GridSpec(cell=16, frames=2, rate=2.0, max_cells=48).fit(_WIDTH, _HEIGHT)
    tracker = ChangeTracker(grid, make_policy(policy, grid), anchor_every=100)
    for number, picture in enumerate(_pictures()):
        for packet in encoder.encode(picture, number / _RATE, number / _RATE):
            for frame in decoder.decode(packet):
                estimate_camera_motion(frame.signals)
                tracker.feed(frame)


def _pictures() -> Iterator[NDArray[np.uint8]]:
    """The pictures of the clip, uint8 [height, width, 3]."""
    coarse = np.random.default_rng(1).integers(40, 180, (_HEIGHT // 8, 2 * _WIDTH // 8, 3))
    wall = coarse.repeat(8, axis=0).repeat(8, axis=1).astype(np.uint8)
    for number in range(_RATE * _SECONDS):
        left = 3 * min(max(number - _PAN_AT, 0), _ZOOM_AT - _PAN_AT)
        zoom = 1 + 0.02 * min(max(number - _ZOOM_AT, 0), _STOP_AT - _ZOOM_AT)
        rows, cols = (np.arange(_HEIGHT) / zoom).astype(int), (np.arange(_WIDTH) / zoom).astype(int)
        picture = wall[rows][:, left + cols]
        x = 4 * (number % 40)
        picture[80:128, x : x + 48] = 230
        if number == _BLINK_AT:
            picture[16:64, 160:224] = 10
        if number >= _DARK_AT:
            picture = (0.8 * picture).astype(np.uint8)
        yield picture
