"""The interface of all change policies."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codecsight.change.measurement.yuv_planes import Mask
from codecsight.core.frame import FrameSignals

Reasons = NDArray[np.uint8]
"""[rows, cols]: 0 for a cell that is left out, else the `Reason` for which it is kept."""


class ChangePolicy(Protocol):
    """Observes the signals of every decoded frame, and decides once per slot which cells to keep.

    For each slot, the tracker calls `decide` or `on_anchor`. It may still turn a decision into an
    anchor; then it calls `on_anchor` after `decide`.
    """

    @property
    def anchor_threshold(self) -> float:
        """Share of kept cells above which the slot becomes an anchor: a delta then saves little,
        and an anchor refreshes everything. 1 for policies that are measured unmodified.
        """
        ...

    @property
    def detects_transients(self) -> bool:
        """Whether to sample transients between two samples instead (see TransientDetector)."""
        ...

    @property
    def motion_interval_s(self) -> float:
        """Largest interval in seconds, at present, between frames whose motion the decoder
        extracts; 0 for every frame. Extraction can take a tenth of the time of decoding.
        """
        ...

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Process the signals of one decoded frame, sampled or not. The coded picture has `width` x
        `height` pixels; it is shown turned by the signals' orientation.
        """

    def on_sample(self) -> None:
        """Record that the frame observed last is sampled for the slot."""

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:
        """Decide which cells of the slot to keep, and why. `pictures` are its sampled frames,
        `shipped` is the content last shipped for each cell, both [frames, h, w, 3] RGB.
        """

    def ignore(self, mask: Mask) -> None:
        """Disregard changes of these pixels, [h, w] of the model's input, from now on. The tracker
        disregards cells that the mask covers; only a policy that compares pixels can do more.
        """

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:
        """Record that the slot of these `pictures` was an anchor: every cell was shipped."""
