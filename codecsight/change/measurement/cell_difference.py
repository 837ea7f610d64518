"""Change detection per cell: do its pixels differ from what was last shipped for it?

Noise, global exposure and slowly varying illumination do not count as change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.cell_statistics import (
    cell_means,
    cell_medians,
    fraction_above,
    fraction_connected,
)
from codecsight.change.measurement.exposure import Exposure, estimate_exposure
from codecsight.change.measurement.pixel_difference import (
    SUBSAMPLE,
    difference_planes,
    luma_difference,
    subtract_illumination,
    subtract_tolerance,
)
from codecsight.change.measurement.plane_filters import box_filter, local_gradient
from codecsight.change.measurement.yuv_planes import Mask, Picture, Plane, Planes, RgbImage
from codecsight.core.grid import PatchGrid
from codecsight.jit import cached_njit

_NEIGHBOURHOOD = 5  # cells a side over which illumination is assumed to be smooth
_MAX_LIMIT = 20.0  # grey levels: a scene cut raises the median, and must not pass for noise
_MISALIGNMENT = 0.5  # pixels by which a resampled picture may be off
_FULLY_VISIBLE = 0.999  # visibility of a pixel, allowing for rounding
_MAX_UNSEEN = 0.015  # largest share that was never shipped of a cell that does not count as changed
_CHROMA_WEIGHT = 0.45  # weight of a chroma difference relative to luma


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Thresholds of change detection: a cell has changed when more than `min_share` of its pixels
    differ by more than `min_difference` grey levels and by more than `noise_factor` times the
    picture's median difference (capped at _MAX_LIMIT).
    """

    min_difference: float
    noise_factor: float
    min_share: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference between a sampled frame and what was shipped.

    `planes` [2, h, w] are absolute differences in grey levels, box-filtered, illumination removed:
    luma and chroma. `medians` [2] are their medians. `unseen` [rows, cols] marks cells with a part
    that was never shipped. `exposure` is the global change of exposure.
    """

    planes: Planes
    medians: NDArray[np.float64]
    unseen: Mask
    exposure: Exposure

    def changed_cells(self, sensitivity: Sensitivity) -> Mask:
        """[rows, cols]: cells that differ or were never shipped."""
        shares = fraction_above(self.planes, self._limits(sensitivity), *self.unseen.shape)
        changed: Mask = shares > sensitivity.min_share
        return changed | self.unseen

    def continued_cells(self, changed: Mask, clear: Sensitivity, weak: Sensitivity) -> Mask:
        """[rows, cols]: cells in which the clear difference of a `changed` cell goes on, connected
        by pixels that differ by the thresholds of `weak`.
        """
        limits, weak_limits = self._limits(clear), self._limits(weak)
        continued: Mask = (
            fraction_connected(self.planes, limits, weak_limits, changed) > weak.min_share
        )
        return continued

    def _limits(self, sensitivity: Sensitivity) -> NDArray[np.float32]:
        levels = sensitivity.noise_factor * self.medians
        limits: NDArray[np.float32] = np.clip(
            levels, sensitivity.min_difference, _MAX_LIMIT
        ).astype(np.float32)
        return limits


def changed_in_any(differences: Iterable[Difference], sensitivity: Sensitivity) -> Mask:
    """[rows, cols]: cells that differ in any frame of a slot.

    A token is made of all frames of its cell. So a cell whose shipped frames differed from each
    other is shipped again once it has come to rest.
    """
    masks = [difference.changed_cells(sensitivity) for difference in differences]
    changed: Mask = np.logical_or.reduce(masks)
    return changed


def compare(
    new: Picture,
    old: RgbImage | Planes,
    grid: PatchGrid,
    visibility: Plane | None = None,
    ignored: Mask | None = None,
) -> Difference:
    """Compare a sampled frame with the frame last shipped for the same cells, both at model input
    size.

    Robust block-wise change detection: match the global exposure, box-filter the difference,
    subtract a bilinear surface through local medians (lamps, shadows), and compare with a threshold
    that follows the noise. `visibility` [h, w] is given when `old` was warped to follow the camera:
    the share of each pixel, up to 1, that `old` covers. Pixels of the mask `ignored` [h, w] do not
    differ, whatever they show.
    """
    difference = _compare(new, old, grid, visibility)
    if ignored is not None:
        difference.planes[:, ignored] = 0
    return difference


def _compare(
    new: Picture, old: RgbImage | Planes, grid: PatchGrid, visibility: Plane | None
) -> Difference:
    exposure = estimate_exposure(old, new.rgb)
    if visibility is None:
        planes, chroma_median = difference_planes(new.rgb, old, exposure, _CHROMA_WEIGHT)
        luma_median = subtract_illumination(planes[0], *_illumination(planes[0], grid))
        unseen = np.zeros((grid.rows, grid.cols), np.bool_)
        return Difference(planes, np.array([luma_median, chroma_median]), unseen, exposure)
    visible = visibility > _FULLY_VISIBLE
    planes = np.empty((2, *new.yuv.shape[1:]), np.float32)
    planes[0] = _warped_luma_difference(new.yuv[0], old[0], exposure, grid, visible)
    planes[1] = _warped_chroma_difference(new.yuv[1:], cast(Planes, old)[1:], exposure, visible)
    samples = planes[:, ::SUBSAMPLE, ::SUBSAMPLE][:, visible[::SUBSAMPLE, ::SUBSAMPLE]]
    medians = np.asarray(np.median(samples, axis=1) if samples.size else [0, 0], np.float64)
    unseen = cell_means(visibility, grid.rows, grid.cols) < 1 - _MAX_UNSEEN
    return Difference(planes, medians, unseen, exposure)


def _warped_luma_difference(
    new: Plane, old: Plane, exposure: Exposure, grid: PatchGrid, visible: Mask
) -> Plane:
    """Absolute luma difference [h, w] from a warped picture, less what half a pixel of misalignment
    can cause; 0 where `old` is not fully visible.
    """
    gain, offset = np.float32(exposure.gain), np.float32(exposure.offset)
    difference = box_filter(luma_difference(new, old, gain, offset, exposure.negligible, visible))
    subtract_illumination(difference, *_illumination(difference, grid))
    tolerance = box_filter(local_gradient(old))
    subtract_tolerance(difference, tolerance, np.float32(_MISALIGNMENT), visible)
    return difference


def _warped_chroma_difference(new: Planes, old: Planes, exposure: Exposure, visible: Mask) -> Plane:
    """As for luma, from the two chroma planes: the larger difference, weighted. A green car on grey
    ground may differ in chroma alone.
    """
    gain = np.float32(1 if exposure.negligible else exposure.gain)
    weight = np.float32(_CHROMA_WEIGHT)
    red, blue = (np.abs(box_filter(n - gain * o)) for n, o in zip(new, old, strict=True))
    gradients = [local_gradient(plane) for plane in old]
    difference: Plane = weight * np.maximum(red, blue)
    tolerance = weight * box_filter(np.maximum(*gradients))
    subtract_tolerance(difference, tolerance, np.float32(_MISALIGNMENT), visible)
    return difference


def _illumination(difference: Plane, grid: PatchGrid) -> tuple[Plane, Plane]:
    """The part of a luma difference that is smooth over several cells, as two factors: row weights
    [h, rows] and values [rows, w]. Their product [h, w] is never stored.

    The median of each cell, then the median over 5x5 cells: an object must fill more than half of
    that neighbourhood before it is mistaken for a change of light.
    """
    cell = grid.spec.cell
    medians = cell_medians(difference, grid.rows, grid.cols, max(1, cell // 5))
    smooth = _median_filter(_pad_odd(medians, _NEIGHBOURHOOD // 2), _NEIGHBOURHOOD)
    row_weights, col_weights = (
        _interpolation_weights(grid.rows, cell),
        _interpolation_weights(grid.cols, cell),
    )
    return row_weights, np.asarray(smooth @ col_weights.T, np.float32)


@cached_njit
def _pad_odd(values: Plane, width: int) -> Plane:
    """Pad by `width` on each side with an odd reflection, which continues a gradient of light
    beyond the border.
    """
    rows, cols = values.shape
    padded = np.empty((rows + 2 * width, cols + 2 * width), np.float32)
    padded[width : width + rows, width : width + cols] = values
    inner = padded[:, width : width + cols]
    for distance in range(1, width + 1):
        mirrored, last = min(distance, rows - 1), width + rows - 1
        inner[width - distance] = 2 * inner[width] - inner[width + mirrored]
        inner[last + distance] = 2 * inner[last] - inner[last - mirrored]
    for distance in range(1, width + 1):
        mirrored, last = min(distance, cols - 1), width + cols - 1
        padded[:, width - distance] = 2 * padded[:, width] - padded[:, width + mirrored]
        padded[:, last + distance] = 2 * padded[:, last] - padded[:, last - mirrored]
    return padded


@cached_njit
def _median_filter(padded: Plane, size: int) -> Plane:
    """Median over `size` x `size` values, not padded: [h, w] -> [h - size + 1, w - size + 1]."""
    rows, cols = padded.shape[0] - size + 1, padded.shape[1] - size + 1
    medians = np.empty((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            medians[row, col] = np.median(padded[row : row + size, col : col + size])
    return medians


@lru_cache(maxsize=64)
def _interpolation_weights(cells: int, cell: int) -> Plane:
    """[cells * cell, cells]: weights of linear interpolation from cell centres to pixels, constant
    beyond the outer centres.
    """
    position = np.clip((np.arange(cells * cell) + 0.5) / cell - 0.5, 0, cells - 1)
    distance = np.abs(position[:, None] - np.arange(cells))
    weights: Plane = np.clip(1 - distance, 0, None).astype(np.float32)
    return weights
