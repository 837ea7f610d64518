"""Cameras of the benchmark, by setting and condition, with seeds that are not in training."""

from dataclasses import dataclass
from urllib.parse import urlencode

from codecsight.core.slot import ANCHOR_EVERY
from codecsight.world import HELD_OUT_FAMILIES
from codecsight.world.source import WorldCamera

FIRST_SEED = (1 << 24) + 50_000
FAMILIES = (*HELD_OUT_FAMILIES, "street", "yard", "hall", "night")

WIDTH, HEIGHT = 480, 360
RATE = 2.0
REENCODED_SIZE = 224, 168
"""Width and height for the published setting. A cell is 28 pixels wide, as in the published system
(448 pixels, 16 x 16 tokens): the rule's threshold is in pixels and its blocks are 16 pixels wide,
so their size relative to a cell matters.
"""

Value = int | float | str
Kind = dict[str, Value]
EVENTFUL = "incidents", 0.8
"""More falls, fires and forgotten bags than usual; otherwise too few questions would be on them."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Window layout in slots of a second.

    `anchor_every` and `published_anchor` are the slots from anchor to anchor, for our policies and
    for the published rule. With `reencoded`, the camera's stream is scaled down and re-encoded with
    a GOP of one stride before any policy reads it.
    """

    name: str
    window: int
    stride: int
    published_anchor: int
    anchor_every: int = ANCHOR_EVERY
    reencoded: bool = False


PUBLISHED = Setting("published", window=10, stride=2, published_anchor=2, reencoded=True)
"""The published window of 40 s, stride of 8 s and GOP of 8 s, a quarter as long: the model was
trained on short windows.
"""
FULL_LENGTH = Setting("published-40s", window=40, stride=8, published_anchor=8, reencoded=True)
"""The same at full length, though the model was not trained on windows this long."""
NATIVE = Setting("native", window=8, stride=2, published_anchor=8)


@dataclass(frozen=True, slots=True)
class Stream:
    """One camera, and the `conditions` of its setting that its windows count towards.

    With `between`, the ground truth of a sample is that of the most eventful frame since the
    previous sample.
    """

    setting: Setting
    conditions: tuple[str, ...]
    family: str
    seed: int
    seconds: int
    kind: tuple[tuple[str, Value], ...]
    between: bool = False

    @property
    def plain(self) -> bool:
        """Whether it is a stream without stress condition."""
        return "plain" in self.conditions

    @property
    def url(self) -> str:
        """URL that names the stream and reproduces it."""
        size = {"width": WIDTH, "height": HEIGHT}
        settings = {"seed": self.seed, **size, **dict(self.kind), "seconds": self.seconds}
        return f"world://{self.family}?{urlencode(settings)}"

    @property
    def camera(self) -> WorldCamera:
        """The procedural camera of the URL."""
        return WorldCamera.parse(self.url)


CAMERAS: dict[str, Kind] = {
    "10fps-gop5s": {"fps": 10, "gop": 50},
    "15fps-gop1s-cbr": {"fps": 15, "gop": 15, "bitrate": 300},
    "25fps-gop10s-b-frames": {"fps": 25, "gop": 250, "b_frames": 2},
    "30fps-gop2s-cbr-b-frames": {"fps": 30, "gop": 60, "b_frames": 2, "bitrate": 500},
}
"""Typical camera settings. Without a bit rate, quality is constant and the rate varies."""

STRESS: dict[str, Kind] = {
    "night": {"fps": 12, "gop": 24, "bitrate": 400},
    "exposure": {"fps": 10},
    "rain": {"fps": 12},
    "shake": {"fps": 15},
    "pan": {"fps": 12},
    "ptz": {"fps": 12},
    "crowd": {"fps": 12},
    "tiny": {"fps": 10},
    "drift": {"fps": 10},
    "visitor": {"fps": 20},
    "state": {"fps": 10},
    "unfamiliar": {"fps": 12},
}
"""Stress conditions of the procedural world, with the settings of their cameras."""
STRESS_PLACES = {"unfamiliar": HELD_OUT_FAMILIES}
"""Place families of a condition, if not all: `unfamiliar` uses held-out families only."""


@dataclass(frozen=True, slots=True)
class Size:
    """Streams per plain setting and per stress condition, and their seconds."""

    published: int
    full_length: int
    native: int
    stress: int
    seconds: int
    stress_seconds: int


FULL = Size(published=12, full_length=4, native=12, stress=3, seconds=32, stress_seconds=26)
QUICK = Size(published=2, full_length=0, native=2, stress=0, seconds=14, stress_seconds=14)


def streams(size: Size) -> list[Stream]:
    """Return all streams of a run."""
    slow = (("fps", 2), ("gop", 10), EVENTFUL)
    found = [
        Stream(PUBLISHED, ("plain",), *_place(n), size.seconds, slow) for n in range(size.published)
    ]
    found += [
        Stream(FULL_LENGTH, ("plain",), *_place(100 + n), 72, slow) for n in range(size.full_length)
    ]
    kinds = list(CAMERAS.items())
    for number in range(size.native):
        name, kind = kinds[number % len(kinds)]
        place = _place(200 + number + number // len(kinds))
        of = ("plain", name)
        settings = (*kind.items(), EVENTFUL)
        found.append(Stream(NATIVE, of, *place, size.seconds, settings))
    for index, (name, kind) in enumerate(STRESS.items()):
        settings = (*kind.items(), ("condition", name))
        for number in range(size.stress):
            place = _place(300 + 10 * index + number, STRESS_PLACES.get(name, FAMILIES))
            where = *place, size.stress_seconds
            found.append(Stream(NATIVE, (name,), *where, settings, between=name == "visitor"))
    return found


def _place(number: int, families: tuple[str, ...] = FAMILIES) -> tuple[str, int]:
    return families[number % len(families)], FIRST_SEED + number
