"""The default policy: pixels decide; evidence of the codec lowers their thresholds."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.exposure_refresh import ExposureRefresh
from codecsight.change.measurement.camera_transform import CameraTransform
from codecsight.change.measurement.cell_difference import (
    Difference,
    Sensitivity,
    changed_in_any,
    compare,
)
from codecsight.change.measurement.evidence import CellEvidence, CodecEvidence
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.plane_filters import dilate
from codecsight.change.measurement.reference import Reference, WarpedReference
from codecsight.change.measurement.yuv_planes import Mask, Picture
from codecsight.change.policies.pixels import PIXELS_ONLY
from codecsight.change.policies.policy import Reasons
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason

CONFIRMATION = Sensitivity(min_difference=4.5, noise_factor=5.5, min_share=0.015)
"""Lower thresholds for cells with codec evidence, and for cells kept in the last slot."""
CONTINUATION = Sensitivity(min_difference=3.0, noise_factor=4.0, min_share=0.015)
"""Thresholds where a clear change of the neighbouring cell goes on into a cell kept before."""
FAINT_REMAINS = Sensitivity(min_difference=2.5, noise_factor=4.0, min_share=0.04)
"""Thresholds next to a clear change, for a cell kept before in which the codec sees motion."""

_SMOOTH_INTERVAL_S = 0.1
_MIN_CHANGED = 0.02  # share of cells that must have changed for a drift of the camera to matter
_DRIFT_INTERVAL = 2  # slots from one search for a drift to the next, while none is found
_DRIFT_GAIN = 0.95  # share of the changed cells that may remain if a drift explains the others

Pictures = NDArray[np.uint8]
"""[frames, h, w, 3] RGB."""


class TrackedPolicy:
    """Keeps a cell when its pixels clearly differ from what was last shipped for it, or when they
    differ slightly and the codec moved it or coded it intra since the last slot.

    Vectors alone call a whole noisy or panning picture changed. Pixels alone need thresholds that
    miss small and low-contrast objects. So the pixels of every cell are compared, with lower
    thresholds where there is motion or intra coding; where the codec gives no signals, with the
    higher ones. Cells kept in the last slot have the lower thresholds too (hysteresis), so that
    they don't flicker. Still lower ones hold where the change of a neighbouring cell goes on into
    them: dark trousers on dark ground, for example, differ little at the model's size. While the
    camera moves, its motion is composed over frames, and what was shipped is warped to the current
    view before the comparison. A cell not shipped for `refresh_after` slots is shipped anyway.
    Content counts as moved after a displacement of `min_displacement` source pixels.
    """

    anchor_threshold = 0.5

    def __init__(
        self, grid: PatchGrid, min_displacement: float = 1.0, refresh_after: int = 120
    ) -> None:
        self._grid = grid
        self._min_displacement = min_displacement
        self._refresh_after = refresh_after
        self._evidence = CodecEvidence(grid)
        self._camera = CameraTransform(grid.width, grid.height, grid.spec.frames)
        self._references: list[Reference] = []  # one per frame of a slot
        self._exposures = ExposureRefresh(grid.rows, grid.cols)
        self._ignored: Mask | None = None
        self._drift_wait = 0  # slots until the next search for a drift of the camera
        self._reset()

    @property
    def detects_transients(self) -> bool:
        """While the camera is static."""
        return self._camera.is_static

    @property
    def motion_interval_s(self) -> float:
        """Ten frames per second are enough while the camera is static or turns smoothly. A shaking
        camera needs every frame.
        """
        return _SMOOTH_INTERVAL_S if self._camera.is_smooth else 0.0

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Accumulate camera motion and codec evidence between slots."""
        camera = self._camera.observe(signals, width, height)
        self._evidence.observe(signals, width, height, camera)

    def on_sample(self) -> None:
        """Record the camera transform of the sampled frame."""
        self._camera.on_sample()

    def decide(self, pictures: Pictures, shipped: Pictures) -> Reasons:
        """Keep clear changes, slight ones with evidence, and a few cells due for a refresh."""
        if not self._references:
            self._references = self._make_references(shipped)
        new = [Picture(picture) for picture in pictures]
        warped = self._warp_references(new)
        differences = self._compare(new, warped)
        if self._drift_is_due(warped, differences):
            warped, differences = self._follow_drift(new, warped, differences)
        reasons = self._reasons(differences)
        self._kept_last = reasons > 0
        self._refresh(reasons, differences[-1].exposure)
        self._update_references(new, reasons > 0, warped, [each.exposure for each in differences])
        return reasons

    def ignore(self, mask: Mask) -> None:
        """Disregard changes of these pixels."""
        self._ignored = mask

    def on_anchor(self, pictures: Pictures) -> None:
        """Replace the references by the anchor's pictures and discard the evidence so far."""
        self._evidence.clear()
        new = [Picture(picture) for picture in pictures]
        if not self._references:
            self._references = self._make_references(pictures)
        warped = self._warp_references(new)
        self._camera.rebase()
        transforms = self._camera.sample_transforms()
        for reference, picture, transform, old in zip(
            self._references, new, transforms, warped, strict=True
        ):
            reference.replace(picture, transform, old)
        self._reset()

    def _make_references(self, shipped: Pictures) -> list[Reference]:
        pairs = zip(shipped, self._camera.sample_transforms(), strict=True)
        margin = self._grid.spec.cell
        return [Reference(picture, transform, margin) for picture, transform in pairs]

    def _warp_references(self, new: list[Picture]) -> list[WarpedReference]:
        each = zip(self._references, new, self._camera.sample_transforms(), strict=True)
        return [reference.warp_to(picture, transform) for reference, picture, transform in each]

    def _compare(self, new: list[Picture], warped: list[WarpedReference]) -> list[Difference]:
        return [
            compare(picture, reference.image, self._grid, reference.visibility, self._ignored)
            for picture, reference in zip(new, warped, strict=True)
        ]

    def _drift_is_due(self, warped: list[WarpedReference], differences: list[Difference]) -> bool:
        """Whether to search for a drift: some cells changed, and no camera motion is known."""
        self._drift_wait -= 1
        if self._drift_wait > 0 or any(each.motion is not None for each in warped):
            return False
        return bool(changed_in_any(differences, PIXELS_ONLY).mean() >= _MIN_CHANGED)

    def _follow_drift(
        self, new: list[Picture], warped: list[WarpedReference], differences: list[Difference]
    ) -> tuple[list[WarpedReference], list[Difference]]:
        """Align the references with the new pictures, if the camera has drifted so slowly that the
        vectors round to 0, and if that explains cells that seem to have changed.
        """
        self._drift_wait = _DRIFT_INTERVAL
        if self._references[-1].realign(new[-1]) is None:
            return warped, differences
        each = zip(self._references, new, warped, strict=True)
        aligned = [reference.realign(picture) or old for reference, picture, old in each]
        remaining = self._compare(new, aligned)
        seen = ~np.logical_or.reduce([difference.unseen for difference in remaining])
        before, after = (
            changed_in_any(each, PIXELS_ONLY)[seen].sum() for each in (differences, remaining)
        )
        if after > _DRIFT_GAIN * before:
            return warped, differences
        self._drift_wait = 0
        return aligned, remaining

    def _reset(self) -> None:
        shape = self._grid.rows, self._grid.cols
        self._kept_last = np.zeros(shape, np.bool_)
        self._exposures.reset()
        self._age = np.zeros(shape, np.int32)  # slots since the cell was shipped

    def _reasons(self, differences: list[Difference]) -> Reasons:
        clear = changed_in_any(differences, PIXELS_ONLY)
        slight = changed_in_any(differences, CONFIRMATION)
        kept = clear | (self._kept_last & (slight | _continued(differences, clear)))
        reasons = kept * np.uint8(Reason.PIXELS)
        evidence = self._evidence.cells()
        self._evidence.clear()
        if evidence is not None:
            moved, intra = self._moved(evidence), evidence.intra > 0
            near_clear = self._kept_last & dilate(clear)
            differs = clear | slight | (near_clear & changed_in_any(differences, FAINT_REMAINS))
            reasons[differs & intra] = Reason.INTRA
            reasons[differs & moved] = Reason.MOTION
        return reasons

    def _moved(self, evidence: CellEvidence) -> NDArray[np.bool_]:
        """[rows, cols]: cells whose content moved, fast in one frame or slowly over many.

        A distant walker moves 0.3 pixels a frame. The displacement is composed over frames, in
        which noise at night cancels out.
        """
        moved: NDArray[np.bool_] = evidence.displacement >= self._min_displacement
        return moved

    def _refresh(self, reasons: Reasons, exposure: Exposure) -> None:
        """Keep some of the cells that were shipped under another exposure; and of those that were
        shipped longest ago, a few per slot, so that every cell has its turn within `refresh_after`
        slots.
        """
        self._exposures.observe(exposure)
        self._exposures.mark_shipped(reasons > 0)
        due = self._exposures.due()
        reasons.flat[due] = Reason.REFRESH
        self._age += 1
        self._age[reasons > 0] = 0
        per_slot = -(-self._age.size // self._refresh_after)
        oldest = np.argsort(self._age, axis=None, kind="stable")[-per_slot:]
        due = oldest[self._age.flat[oldest] >= self._refresh_after]
        reasons.flat[due] = Reason.REFRESH
        self._exposures.mark_shipped(reasons > 0)
        self._age.flat[due] = 0

    def _update_references(
        self,
        new: list[Picture],
        kept: NDArray[np.bool_],
        warped: list[WarpedReference],
        exposures: list[Exposure],
    ) -> None:
        """Apply what is shipped now to the references."""
        transforms = self._camera.sample_transforms()
        each = zip(self._references, new, transforms, warped, exposures, strict=True)
        for reference, picture, transform, old, exposure in each:
            reference.update(picture, kept, transform, old, exposure)


def _continued(differences: list[Difference], clear: Mask) -> Mask:
    """[rows, cols]: cells in which a neighbour's clear change goes on, in any frame of the slot."""
    masks = [each.continued_cells(clear, PIXELS_ONLY, CONTINUATION) for each in differences]
    continued: Mask = np.logical_or.reduce(masks)
    return continued
