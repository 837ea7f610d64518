"""Overlay for debugging: motion vectors, kept cells and camera motion, drawn into the picture."""

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from codecsight.change.measurement.camera_motion import (
    IDENTITY,
    block_displacements,
    estimate_camera_motion,
)
from codecsight.change.measurement.yuv_planes import RgbImage
from codecsight.core.frame import Frame
from codecsight.core.grid import PatchGrid
from codecsight.core.orientation import UPRIGHT
from codecsight.core.slot import Reason, Slot
from codecsight.video.codec.resizer import Resizer

COLOURS = {
    Reason.ANCHOR: (150, 150, 150),
    Reason.MOTION: (60, 220, 90),
    Reason.INTRA: (240, 200, 40),
    Reason.PIXELS: (60, 160, 255),
    Reason.REFRESH: (200, 90, 230),
}
_VECTOR_COLOUR = (255, 70, 50)
_MIN_MOTION = 0.5  # pixels per frame, without camera motion, from which on a vector is drawn
_VECTOR_SCALE = 3.0  # drawn length of a vector, times its real length
_CAPTION_HEIGHT = 18  # pixels


def draw_overlay(frame: Frame, grid: PatchGrid, slot: Slot | None) -> RgbImage:
    """The frame as RGB [h, w, 3], with motion vectors (less the camera's motion), the cells kept in
    the last `slot`, coloured by reason, and a line of text below.
    """
    width, height = frame.shown_size
    image = Image.fromarray(Resizer(width, height).rgb(frame))
    if slot is not None:
        image = _draw_cells(image, grid, slot)
    camera = _draw_vectors(ImageDraw.Draw(image), frame)
    # Video codecs need an even height.
    captioned = Image.new("RGB", (width, height + _CAPTION_HEIGHT))
    captioned.paste(image, (0, 0))
    caption = f"{frame.time:6.1f} s  {_describe(slot)}  {camera}{_describe_view(frame)}"
    ImageDraw.Draw(captioned).text((4, height + 3), caption)
    return np.asarray(captioned)


def padded(image: RgbImage, shape: tuple[int, ...]) -> RgbImage:
    """The image scaled into `shape` [h, w, 3], with borders: sources change size in mid-stream."""
    if image.shape == shape:
        return image
    return np.asarray(ImageOps.pad(Image.fromarray(image), (shape[1], shape[0])))


def contact_sheet(images: list[RgbImage], columns: int = 3) -> RgbImage:
    """Images of one size, arranged in rows of `columns`."""
    high, wide = images[0].shape[:2]
    rows = -(-len(images) // columns)
    sheet = np.zeros((rows * high, columns * wide, 3), np.uint8)
    for number, image in enumerate(images):
        y, x = number // columns * high, number % columns * wide
        sheet[y : y + high, x : x + wide] = image
    return sheet


def _draw_cells(image: Image.Image, grid: PatchGrid, slot: Slot) -> Image.Image:
    layer = image.copy()
    draw = ImageDraw.Draw(layer)
    wide, high = image.width / grid.cols, image.height / grid.rows
    for (row, col), reason in zip(np.argwhere(slot.kept), slot.reasons, strict=True):
        corner = col * wide, row * high
        box = (*corner, corner[0] + wide - 1, corner[1] + high - 1)
        draw.rectangle(box, COLOURS[Reason(reason)], outline=(0, 0, 0))
    return Image.blend(image, layer, 0.3)


def _draw_vectors(draw: ImageDraw.ImageDraw, frame: Frame) -> str:
    """Draw the vectors; returns a description of the camera's motion."""
    signals = frame.signals
    if signals.motion is None:
        return f"{signals.frame_type}: no vectors"
    camera, motion = estimate_camera_motion(signals), signals.motion
    rows, cols = motion.shape[:2]
    picture = frame.picture
    to_shown = frame.orientation.affine((picture.width, picture.height), frame.shown_size)
    if camera is not None and camera is not IDENTITY:
        motion = motion - block_displacements(camera, rows, cols, signals.block)
    for row, col in np.argwhere(np.hypot(motion[..., 0], motion[..., 1]) >= _MIN_MOTION):
        start = (np.array([col, row]) + 0.5) * signals.block
        ends = [start, start + motion[row, col] * _VECTOR_SCALE]
        draw.line(
            [tuple(to_shown[:2, :2] @ end + to_shown[:2, 2]) for end in ends], _VECTOR_COLOUR, 2
        )
    if camera is None:
        return "camera: unknown"
    if camera is IDENTITY:
        return "camera: static"
    mean = block_displacements(camera, rows, cols, signals.block).mean(axis=(0, 1))
    dx, dy = to_shown[:2, :2] @ mean
    return f"camera: scene moves {dx:+.1f}, {dy:+.1f} px/frame"


def _describe_view(frame: Frame) -> str:
    """How the coded picture was changed to be shown; empty if it is shown as it is."""
    words = [str(frame.orientation)] if frame.orientation != UPRIGHT else []
    coded = frame.picture.width, frame.picture.height
    if frame.orientation.size(*coded) != frame.shown_size:
        words.append(f"pixels {frame.sample_aspect.numerator}:{frame.sample_aspect.denominator}")
    return "".join(f"  {word}" for word in words)


def _describe(slot: Slot | None) -> str:
    if slot is None:
        return "no slot yet"
    counts = np.bincount(slot.reasons, minlength=len(Reason) + 1)
    by_reason = ", ".join(f"{counts[why]} {why.name.lower()}" for why in Reason if counts[why])
    return f"kept {slot.kept_count}/{slot.cell_count} ({by_reason or 'none'})"
