"""Procedural camera: a packet source that renders and encodes a scene on the fly.

`world://street?seed=3&fps=10&width=640&height=480` is endless and runs in real time, like a camera.
With `seconds=60` it is a recording of that length, produced as fast as possible unless paced.
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
    """Parameters of a `world://` URL.

    `noise` and `incidents` None keep the scene's own values. `seconds` 0 is endless. `bitrate` is
    in kilobits per second, 0 for constant quality. `condition` names a scene that is difficult for
    change detection ("night", "pan" ..); "" is the usual scene with its visitors.
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
        """Parse a URL. Raises SourceError that names the mistake and the valid values."""
        parts = urlsplit(url)
        settings: dict[str, Any] = {}
        for key, text in parse_qsl(parts.query, keep_blank_values=True):
            if key not in _PARSERS:
                raise SourceError(f"{url}: unknown setting {key!r}; known: {', '.join(_PARSERS)}")
            try:
                settings[key] = _PARSERS[key](text)
            except ValueError as error:
                raise SourceError(f"{url}: invalid {key} {text!r}: {error}") from None
        try:
            return WorldCamera(get_family(parts.netloc).name, **settings)
        except CodecSightError as error:
            raise SourceError(f"{url}: {error}") from None

    @property
    def scene(self) -> Scene:
        """The scene that it shows. The stream's time is the scene's time."""
        aspect = self.width / self.height
        if self.condition:
            return condition_scene(self.condition, self.seed, self.family, aspect)
        scene = Scene.random(self.seed, self.family, aspect, self.noise)
        return scene if self.incidents is None else replace(scene, incident_rate=self.incidents)

    @property
    def profile(self) -> EncoderProfile:
        """The encoder settings."""
        codec = cast(Any, self.codec)
        return EncoderProfile(codec, self.gop, self.b_frames, self.bitrate * 1000 or None)


def open_world(url: str, options: SourceOptions) -> "WorldSource":
    """The source for a `world://` URL."""
    return WorldSource(WorldCamera.parse(url), options)


class WorldSource(BaseSource):
    """Renders and encodes a scene while its items are consumed (see `Source`)."""

    def __init__(self, camera: WorldCamera, options: SourceOptions) -> None:
        super().__init__(live=options.paced or not camera.seconds)
        self._camera = camera
        self._stop = StopFlag()
        self._encoder = CameraEncoder(camera.width, camera.height, camera.fps, camera.profile)

    def items(self) -> Iterator[StreamInfo | Packet]:
        """Yield the StreamInfo, then packets.

        A live source that cannot keep up drops frames and counts them in `anomalies`.
        """
        renderer = Renderer(self._camera.scene, self._camera.width, self._camera.height)
        try:
            yield self._encoder.info
            self.set_state(SourceState.LIVE)
            for t, capture_time in self._frame_times():
                yield from self._encoder.encode(renderer.frame(t), t, capture_time)
                if self._stop:
                    return
            yield from self._encoder.flush()
        finally:
            self.close()
            self.set_state(SourceState.ENDED)

    def close(self) -> None:
        """Stop `items` at its next packet."""
        self._stop.set()

    def _frame_times(self) -> Iterator[tuple[float, float]]:
        """Frame times: seconds of the scene, and the capture time on the wall clock."""
        fps, seconds = self._camera.fps, self._camera.seconds
        pacer, start = Pacer(self._stop, self.live), time.monotonic()
        index = 0
        while not self._stop and not (seconds and index / fps >= seconds):
            yield index / fps, pacer.capture_time(index / fps, index / fps)
            index += 1
            late = (time.monotonic() - start) * fps - index if self.live else 0
            if late > 1:
                self.anomalies["frames dropped"] += int(late)
                index += int(late)


def _float_parser(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return value

    return parse


def _int_parser(low: int, high: int, step: int = 1) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high or value % step:
            kind = "a whole number" if step == 1 else f"a multiple of {step}"
            raise ValueError(f"must be {kind} from {low} to {high}")
        return value

    return parse


def _codec(text: str) -> str:
    if text not in ENCODERS:
        raise ValueError(f"must be one of {', '.join(ENCODERS)}")
    return text


def _condition(text: str) -> str:
    if text not in CONDITIONS:
        raise ValueError(f"must be one of {', '.join(CONDITIONS)}")
    return text


_PARSERS: dict[str, Callable[[str], Any]] = {
    "seed": _int_parser(0, 2**31),
    "fps": _float_parser(1, 60),
    "width": _int_parser(64, 3840, 2),
    "height": _int_parser(64, 2160, 2),
    "gop": _int_parser(1, 1000),
    "b_frames": _int_parser(0, 8),
    "bitrate": _int_parser(0, 100_000),
    "codec": _codec,
    "noise": _float_parser(0, 30),
    "incidents": _float_parser(0, 5),
    "seconds": _float_parser(0, 1e7),
    "condition": _condition,
}
