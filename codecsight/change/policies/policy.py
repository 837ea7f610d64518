"""The one interface of everything that decides which cells are worth shipping."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import FrameSignals

Reasons = NDArray[np.uint8]
"""[rows, cols]: 0 where a cell is left out, else the `Reason` for which it is kept."""


class ChangePolicy(Protocol):
    """Sees the signals of every decoded frame, and decides once per slot.

    For every slot either `decide` or `on_anchor` is called. The tracker may still turn a decision
    into an anchor; then `on_anchor` follows `decide`.
    """

    @property
    def anchor_threshold(self) -> float:
        """The share of kept cells above which the slot becomes an anchor: a delta then saves
        little, and an anchor heals more. 1 for policies that are to be measured as they are.
        """
        ...

    @property
    def detects_transients(self) -> bool:
        """Whether to sample transients between two samples instead (see TransientDetector)."""
        ...

    @property
    def motion_interval_s(self) -> float:
        """How many seconds apart the frames may be of which the codec's motion is read just now: 0
        for all. To read it takes as long as a tenth of decoding.
        """
        ...

    def observe(self, signals: FrameSignals, width: int, height: int) -> None:
        """Take in one decoded frame, sampled or not; the size is the picture's in pixels."""

    def on_sample(self) -> None:
        """The frame last observed is one of the slot's."""

    def decide(self, pictures: NDArray[np.uint8], shipped: NDArray[np.uint8]) -> Reasons:
        """Which cells of the slot to keep, and why. `pictures` are its sampled frames,
        `shipped` the content last shipped for every cell, both [frames, h, w, 3] RGB.
        """

    def on_anchor(self, pictures: NDArray[np.uint8]) -> None:
        """The slot of these sampled `pictures` went out as an anchor: every cell was shipped."""
