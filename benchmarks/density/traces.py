"""Slot traces: procedural cameras, encoded as H.264 and cut into slots by the change policies."""

from dataclasses import dataclass

from codecsight.camera import CameraPipeline
from codecsight.core.grid import GridSpec, PatchGrid
from codecsight.core.slot import ANCHOR_EVERY, Slot
from codecsight.video.capture.source import SourceOptions
from codecsight.world import FAMILIES
from codecsight.world.source import open_world

FREQUENT_ANCHORS = "tracked-2"
"""`tracked` with an anchor every 2 slots."""
ANCHOR_INTERVALS = {"published": 8, FREQUENT_ANCHORS: 2}
"""Slots from anchor to anchor, where they differ from the default."""


@dataclass(frozen=True, slots=True)
class SlotTrace:
    """One camera's slots under each policy; slot i covers the same frames under all of them."""

    name: str
    grid: PatchGrid
    slots: dict[str, list[Slot]]

    def kept(self, policy: str) -> float:
        """Share of cells that a policy ships."""
        slots = self.slots[policy]
        return sum(slot.kept_count for slot in slots) / sum(slot.cell_count for slot in slots)


def make_traces(
    spec: GridSpec, count: int, seconds: int, policies: tuple[str, ...], fps: int = 10
) -> list[SlotTrace]:
    """Return traces of `count` cameras, 640 x 480, H.264 with a key frame every 50 frames."""
    families = sorted(FAMILIES)
    urls = [
        f"world://{families[number % len(families)]}?seed={9000 + number}&fps={fps}"
        for number in range(count)
    ]
    return [make_trace(spec, f"{url}&seconds={seconds}", policies) for url in urls]


def make_trace(
    spec: GridSpec, url: str, policies: tuple[str, ...], anchor_every: int | None = None
) -> SlotTrace:
    """Return the trace of one camera, by its `world://` URL, under each of the policies."""
    items = list(open_world(url, SourceOptions()).items())
    slots: dict[str, list[Slot]] = {}
    for policy in policies:
        every = anchor_every or ANCHOR_INTERVALS.get(policy, ANCHOR_EVERY)
        camera = CameraPipeline(spec, "tracked" if policy == FREQUENT_ANCHORS else policy, every)
        slots[policy] = [slot for item in items for slot in camera.feed(item)] + camera.flush()
    assert camera.tracker is not None
    return SlotTrace(url, camera.tracker.grid, slots)
