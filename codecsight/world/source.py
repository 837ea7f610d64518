"""A procedural camera: a scene, rendered and encoded live, as any other source of packets.

`world://street?seed=3&fps=10&width=640&height=480` is endless and runs in real time, like a camera.
With `seconds=60` it is a recording of that length, read as fast as it can be made unless paced.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.pacer import Pacer, StopFlag
from codecsight.video.capture.source import BaseSource, SourceError, SourceOptions, SourceState
from codecsight.video.codec.encoder import ENCODERS, CameraEncoder, EncoderProfile
from codecsight.world.rendering.renderer import Renderer
from codecsight.world.scene.conditions import CONDITIONS, condition_scene
from codecsight.world.scene.families import get_family
from codecsight.world.scene.scene import Scene


@dataclass(frozen=True, slots=True)
class WorldCamera:
    """What a `world://` URL says. `noise` and `incidents` None are the scene's own, `seconds` 0 is
    for ever; `bitrate` is in kilobits per second, 0 for constant quality; `condition` is one of
    those that are hard on cameras ("night", "pan" ..), "" for the place's own life.
    """

    family: str
    seed: int = 0
    fps: float = 10.0
    width: int = 640
    height: int = 480
    gop: int = 50
    b_frames: int = 0
    bitrate: int = 0
    codec: str = "h264"
    noise: float | None = None
    incidents: float | None = None
    seconds: float = 0.0
    condition: str = ""

    @staticmethod
    def parse(url: str) -> "WorldCamera":
        """Read a URL. Raises SourceError naming what is wrong with it and what would be right."""
        parts = urlsplit(url)
        given: dict[str, Any] = {}
        for key, text in parse_qsl(parts.query, keep_blank_values=True):
            if key not in _READERS:
                raise SourceError(f"{url}: no such setting {key!r}; known: {', '.join(_READERS)}")
            try:
                given[key] = _READERS[key](text)
            except ValueError as error:
                raise SourceError(f"{url}: {key} can't be {text!r}: {error}") from None
        try:
            return WorldCamera(get_family(parts.netloc).name, **given)
        except CodecSightError as error:
            raise SourceError(f"{url}: {error}") from None

    @property
    def scene(self) -> Scene:
        """The scene it looks at; its stream's time is the scene's."""
        aspect = self.width / self.height
        if self.condition:
            return condition_scene(self.condition, self.seed, self.family, aspect)
        scene = Scene.random(self.seed, self.family, aspect, self.noise)
        return scene if self.incidents is None else replace(scene, incidents=self.incidents)

    @property
    def profile(self) -> EncoderProfile:
        """How it encodes."""
        codec = cast(Any, self.codec)
        return EncoderProfile(codec, self.gop, self.b_frames, self.bitrate * 1000 or None)


def open_world(url: str, options: SourceOptions) -> "WorldSource":
    """The source for a `world://` URL."""
    return WorldSource(WorldCamera.parse(url), options)


class WorldSource(BaseSource):
    """Renders and encodes a scene while it is consumed (see `Source`)."""

    def __init__(self, camera: WorldCamera, options: SourceOptions) -> None:
        super().__init__(live=options.paced or not camera.seconds)
        self._camera = camera
        self._stop = StopFlag()
        self._encoder = CameraEncoder(camera.width, camera.height, camera.fps, camera.profile)

    def items(self) -> Iterator[StreamInfo | Packet]:
        """Give the StreamInfo, then packets. A live one that can't keep up leaves pictures out,
        and counts them.
        """
        renderer = Renderer(self._camera.scene, self._camera.width, self._camera.height)
        try:
            yield self._encoder.info
            self.set_state(SourceState.LIVE)
            for t, capture_time in self._moments():
                yield from self._encoder.encode(renderer.frame(t), t, capture_time)
                if self._stop:
                    return
            yield from self._encoder.flush()
        finally:
            self.close()
            self.set_state(SourceState.ENDED)

    def close(self) -> None:
        """End `items` at its next packet."""
        self._stop.set()

    def _moments(self) -> Iterator[tuple[float, float]]:
        """When pictures are taken: seconds of the scene, and the wall clock then."""
        fps, seconds = self._camera.fps, self._camera.seconds
        pacer, start = Pacer(self._stop, self.live), time.monotonic()
        index = 0
        while not self._stop and not (seconds and index / fps >= seconds):
            yield index / fps, pacer.capture_time(index / fps, index / fps)
            index += 1
            late = (time.monotonic() - start) * fps - index if self.live else 0
            if late > 1:
                self.anomalies["pictures left out"] += int(late)
                index += int(late)


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"give a number from {low:g} to {high:g}")
        return value

    return read


def _whole(low: int, high: int, step: int = 1) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not low <= value <= high or value % step:
            kind = "a whole number" if step == 1 else f"a multiple of {step}"
            raise ValueError(f"give {kind} from {low} to {high}")
        return value

    return read


def _codec(text: str) -> str:
    if text not in ENCODERS:
        raise ValueError(f"give one of {', '.join(ENCODERS)}")
    return text


def _condition(text: str) -> str:
    if text not in CONDITIONS:
        raise ValueError(f"give one of {', '.join(CONDITIONS)}")
    return text


_READERS: dict[str, Callable[[str], Any]] = {
    "seed": _whole(0, 2**31),
    "fps": _number(1, 60),
    "width": _whole(64, 3840, 2),
    "height": _whole(64, 2160, 2),
    "gop": _whole(1, 1000),
    "b_frames": _whole(0, 8),
    "bitrate": _whole(0, 100_000),
    "codec": _codec,
    "noise": _number(0, 30),
    "incidents": _number(0, 5),
    "seconds": _number(0, 1e7),
    "condition": _condition,
}
