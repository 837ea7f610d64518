"""What the tracker saw, drawn into the picture for a person to judge."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from codecsight.change.measurement.camera_motion import IDENTITY, estimate_camera_motion, shift
from codecsight.core.frame import Frame, FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason, Slot

COLOURS = {
    Reason.ANCHOR: (150, 150, 150),
    Reason.MOTION: (60, 220, 90),
    Reason.INTRA: (240, 200, 40),
    Reason.PIXELS: (60, 160, 255),
    Reason.REFRESH: (200, 90, 230),
}
_VECTOR = (255, 70, 50)
_LEAST = 0.5  # pixels per frame that a vector must have, the camera's motion taken off, to be drawn
_LONGER = 3.0  # times its length at which it is drawn
_BAR = 18  # pixels of the line of text

RgbImage = NDArray[np.uint8]


def draw_overlay(frame: Frame, grid: PatchGrid, slot: Slot | None) -> RgbImage:
    """The frame, uint8 RGB [h, w, 3], with the motion vectors that are not the camera's own, the
    cells kept in the last `slot`, coloured by reason, and a line of text below it.
    """
    image = Image.fromarray(frame.picture.to_ndarray(format="rgb24"))
    if slot is not None:
        image = _cells(image, grid, slot)
    pen = ImageDraw.Draw(image)
    said = _vectors(pen, frame.signals)
    # An even height, as video codecs want it.
    whole = Image.new("RGB", (frame.width, frame.height + _BAR))
    whole.paste(image, (0, 0))
    ImageDraw.Draw(whole).text((4, frame.height + 3), f"{frame.time:6.1f} s  {_told(slot)}  {said}")
    return np.asarray(whole)


def contact_sheet(pictures: list[RgbImage], columns: int = 3) -> RgbImage:
    """Pictures of one size as a contact sheet."""
    high, wide = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    board = np.zeros((rows * high, columns * wide, 3), np.uint8)
    for number, picture in enumerate(pictures):
        y, x = number // columns * high, number % columns * wide
        board[y : y + high, x : x + wide] = picture
    return board


def _cells(image: Image.Image, grid: PatchGrid, slot: Slot) -> Image.Image:
    veil = image.copy()
    pen = ImageDraw.Draw(veil)
    wide, high = image.width / grid.cols, image.height / grid.rows
    for (row, col), reason in zip(np.argwhere(slot.kept), slot.reasons, strict=True):
        corner = col * wide, row * high
        box = (*corner, corner[0] + wide - 1, corner[1] + high - 1)
        pen.rectangle(box, COLOURS[Reason(reason)], outline=(0, 0, 0))
    return Image.blend(image, veil, 0.3)


def _vectors(pen: ImageDraw.ImageDraw, signals: FrameSignals) -> str:
    """Draw the vectors; returns what there is to be said of the camera."""
    if signals.motion is None:
        return f"{signals.frame_type}: no vectors"
    camera, motion = estimate_camera_motion(signals), signals.motion
    rows, cols = motion.shape[:2]
    if camera is not None and camera is not IDENTITY:
        motion = motion - shift(camera, rows, cols, signals.block)
    for row, col in np.argwhere(np.hypot(motion[..., 0], motion[..., 1]) >= _LEAST):
        x, y = (col + 0.5) * signals.block, (row + 0.5) * signals.block
        across, down = motion[row, col] * _LONGER
        pen.line((x, y, x + across, y + down), _VECTOR, 2)
    if camera is None:
        return "camera: not told"
    if camera is IDENTITY:
        return "camera: still"
    across, down = shift(camera, rows, cols, signals.block).mean(axis=(0, 1))
    return f"camera: scene moves {across:+.1f}, {down:+.1f} px/frame"


def _told(slot: Slot | None) -> str:
    if slot is None:
        return "no slot yet"
    counts = np.bincount(slot.reasons, minlength=len(Reason) + 1)
    named = ", ".join(f"{counts[why]} {why.name.lower()}" for why in Reason if counts[why])
    return f"kept {slot.kept_count}/{slot.cell_count} ({named or 'none'})"
