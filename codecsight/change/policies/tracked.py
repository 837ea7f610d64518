"""The default: the codec proposes, the pixels confirm."""

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.camera_transform import CameraTransform
from codecsight.change.measurement.cell_difference import Difference, Sensitivity, changed, compare
from codecsight.change.measurement.evidence import CellEvidence, CodecEvidence
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.reference import Reference, WarpedReference
from codecsight.change.measurement.yuv_planes import Picture
from codecsight.change.policies.pixels import ALONE
from codecsight.change.policies.policy import Reasons
from codecsight.core.frame import FrameSignals
from codecsight.core.grid import PatchGrid
from codecsight.core.slot import Reason

CONFIRM = Sensitivity(floor=4.5, noise=5.5, share=0.015)
"""What pixels must show where the codec already speaks of motion, or where there was some."""

_STEADY_S = 0.1

Pictures = NDArray[np.uint8]


class TrackedPolicy:
    """A cell is kept when its pixels clearly differ from what was last shipped for it, or when
    they differ a little and the codec saw it move or coded it anew since the last slot.

    Vectors alone call a whole noisy or panning picture changed, pixels alone need a threshold that
    small and low-contrast things stay under: each vouches for the other. Where the codec says
    nothing, the pixels decide alone. What changed a slot ago is believed to change on as easily,
    so that cells don't flicker. While the camera moves, its motion is followed, and what was
    shipped is compared as it is to be seen from there. A cell not shipped for `refresh_after`
    slots takes its turn to be shipped anyway. Content must have come `least` pixels of the source
    to count as moved.
    """

    anchor_threshold = 0.5

    def __init__(self, grid: PatchGrid, least: float = 1.0, refresh_after: int = 120) -> None:
        self._grid = grid
        self._least = least
        self._refresh_after = refresh_after
        self._evidence = CodecEvidence(grid)
        self._pose = CameraTransform(grid.width, grid.height, grid.spec.frames)
        self._references: list[Reference] = []
        self._restart()

    @property
    def detects_transients(self) -> bool:
        """As long as the camera stands still."""
        return self._pose.still

    @property
    def motion_interval_s(self) -> float:
        """While the camera stands or turns smoothly, ten frames per second are enough to follow
        what moves; for a pole that shakes they are not.
        """
        return _STEADY_S if self._pose.steady else 0.0

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Gather what the codec says between two slots."""
        camera = self._pose.observe(signals, width, height)
        self._evidence.observe(signals, width, height, camera)

    def on_sample(self) -> None:
        """Remember where the camera looks."""
        self._pose.on_sample()

    def decide(self, pictures: Pictures, shipped: Pictures) -> Reasons:
        """Clear changes, proposed ones that are confirmed, and a few by rotation."""
        if not self._references:
            self._references = self._begun(shipped)
        shown = [Picture(picture) for picture in pictures]
        looks = self._looks(shown)
        differences = [
            compare(new, look.picture, self._grid, look.known)
            for new, look in zip(shown, looks, strict=True)
        ]
        reasons = self._reasons(differences)
        self._hot = reasons > 0
        self._refresh(reasons)
        self._ship(shown, reasons > 0, looks, [each.tone for each in differences])
        return reasons

    def on_anchor(self, pictures: Pictures) -> None:
        """Everything was shipped: the next slot starts without proposals."""
        self._evidence.clear()
        shown = [Picture(picture) for picture in pictures]
        if not self._references:
            self._references = self._begun(pictures)
        looks = self._looks(shown)
        self._pose.rebase()
        poses = self._pose.poses()
        for reference, new, pose, look in zip(self._references, shown, poses, looks, strict=True):
            reference.renew(new, pose, look)
        self._restart()

    def _begun(self, shipped: Pictures) -> list[Reference]:
        pairs = zip(shipped, self._pose.poses(), strict=True)
        return [Reference(picture, pose, self._grid.spec.cell) for picture, pose in pairs]

    def _looks(self, shown: list[Picture]) -> list[WarpedReference]:
        each = zip(self._references, shown, self._pose.poses(), strict=True)
        return [reference.seen(new, pose) for reference, new, pose in each]

    def _restart(self) -> None:
        shape = self._grid.rows, self._grid.cols
        self._hot = np.zeros(shape, np.bool_)
        self._age = np.zeros(shape, np.int32)

    def _reasons(self, differences: list[Difference]) -> Reasons:
        clear, faint = changed(differences, ALONE), changed(differences, CONFIRM)
        reasons = (clear | (faint & self._hot)) * np.uint8(Reason.PIXELS)
        evidence = self._evidence.cells()
        self._evidence.clear()
        if evidence is not None:
            seen = clear | faint
            reasons[seen & (evidence.intra > 0)] = Reason.INTRA
            reasons[seen & self._moved(evidence)] = Reason.MOTION
        return reasons

    def _moved(self, evidence: CellEvidence) -> NDArray[np.bool_]:
        """Fast in one frame, or slow in many: a walker far away moves 0.3 px a frame. Composed,
        for what a night's noise does in one frame it undoes in the next.
        """
        moved: NDArray[np.bool_] = evidence.shift >= self._least
        return moved

    def _refresh(self, reasons: Reasons) -> None:
        """Let the cells that wait longest take their turn, few enough that all get one in time."""
        self._age += 1
        self._age[reasons > 0] = 0
        turns = -(-self._age.size // self._refresh_after)
        oldest = np.argsort(self._age, axis=None, kind="stable")[-turns:]
        due = oldest[self._age.flat[oldest] >= self._refresh_after]
        reasons.flat[due] = Reason.REFRESH
        self._age.flat[due] = 0

    def _ship(
        self,
        shown: list[Picture],
        kept: NDArray[np.bool_],
        looks: list[WarpedReference],
        tones: list[Exposure],
    ) -> None:
        """Keep the references up with what goes out now."""
        each = zip(self._references, shown, self._pose.poses(), looks, tones, strict=True)
        for reference, picture, pose, look, tone in each:
            reference.ship(picture, kept, pose, look, tone)
