"""The streams: procedural cameras, a real encoder, and the slots that real policies cut."""

from dataclasses import dataclass

from codecsight.camera import CameraPipeline
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.slot import ANCHOR_EVERY, Slot
from codecsight.video.capture.source import SourceOptions
from codecsight.world import FAMILIES
from codecsight.world.source import open_world

OFTEN = "tracked-2"
RHYTHMS = {"published": 8, OFTEN: 2}
"""Slots from anchor to anchor, where it isn't the default."""


@dataclass(frozen=True, slots=True)
class SlotTrace:
    """One camera's slots under each policy; slot i shows the same pictures under all."""

    name: str
    grid: PatchGrid
    slots: dict[str, list[Slot]]

    def kept(self, policy: str) -> float:
        """The share of cells that a policy ships."""
        slots = self.slots[policy]
        return sum(slot.kept_count for slot in slots) / sum(slot.cell_count for slot in slots)


def make_traces(
    spec: GridSpec, count: int, seconds: int, policies: tuple[str, ...], fps: int = 10
) -> list[SlotTrace]:
    """So many cameras, 640 x 480, H.264 with a key frame every 50 pictures."""
    families = sorted(FAMILIES)
    urls = [
        f"world://{families[number % len(families)]}?seed={9000 + number}&fps={fps}"
        for number in range(count)
    ]
    return [make_trace(spec, f"{url}&seconds={seconds}", policies) for url in urls]


def make_trace(
    spec: GridSpec, url: str, policies: tuple[str, ...], anchor_every: int | None = None
) -> SlotTrace:
    """One camera, by its `world://` URL, under so many policies, of which OFTEN is `tracked` with
    more anchors.
    """
    items = list(open_world(url, SourceOptions()).items())
    slots: dict[str, list[Slot]] = {}
    for policy in policies:
        every = anchor_every or RHYTHMS.get(policy, ANCHOR_EVERY)
        camera = CameraPipeline(spec, "tracked" if policy == OFTEN else policy, every)
        slots[policy] = [slot for item in items for slot in camera.feed(item)] + camera.flush()
    assert camera.tracker is not None
    return SlotTrace(url, camera.tracker.grid, slots)
