"""What a camera adds to the picture that is no part of the scene: rain, insects, a clock."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from codecsight.world.scene.actor import Box

CLOCK_BOX = Box(0.02, 0.02, 0.42, 0.085)
"""Where the clock is written, in fractions of the picture."""

_CLOCK_START = datetime(2026, 1, 1, 8, tzinfo=UTC)
_EXPOSURE_S = 1 / 20  # of a picture at night: how long an insect's streak is
_MAX_FLIGHT_S = 1.5

Frame = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Flight:
    """One insect's flight past the lens: from (x, y) at `start`, at (dx, dy) per second, in shares
    of the picture's width; `radius` likewise. `glow` is its brightness in grey levels.
    """

    start: float
    end: float
    x: float
    y: float
    dx: float
    dy: float
    radius: float
    glow: float


def add_rain(picture: Frame, seed: int, streaks: int, t: float) -> Frame:
    """The picture with bright streaks at new random places in every frame."""
    height, width = picture.shape[:2]
    layer = Image.new("L", (width, height))
    pen = ImageDraw.Draw(layer)
    rng = np.random.default_rng([seed, round(abs(t) * 1000), streaks])
    for x, y, length, glow in rng.random((streaks, 4)):
        start = x * width, y * height
        fall = (0.03 + 0.06 * length) * height
        pen.line((*start, start[0] - 0.15 * fall, start[1] + fall), int(40 + 60 * glow))
    return to_uint8(picture + np.asarray(layer, np.float32)[..., None])


def add_insects(picture: Frame, seed: int, rate: float, t: float) -> Frame:
    """The picture with the insects that an infrared lamp lights up: `rate` of them begin their
    flight per second. Each is a bright, blurred streak, as long as it flies during an exposure.
    """
    lit = picture.astype(np.float32)
    for second in range(int(t - _MAX_FLIGHT_S), int(t) + 1):
        for flight in _flights(seed, rate, second):
            if flight.start <= t < flight.end:
                _draw_streak(lit, flight, t)
    return to_uint8(lit)


def add_clock(picture: Frame, t: float) -> Frame:
    """The picture with date and time written into its upper left corner, as cameras do it."""
    height, width = picture.shape[:2]
    text = datetime.fromtimestamp(_CLOCK_START.timestamp() + t, UTC).strftime("%Y-%m-%d %H:%M:%S")
    image = Image.fromarray(picture)
    font = ImageFont.load_default(size=0.05 * height)
    place = (CLOCK_BOX.left + 0.005) * width, (CLOCK_BOX.top + 0.003) * height
    pen = ImageDraw.Draw(image)
    pen.text(place, text, (255, 255, 255), font, stroke_width=1, stroke_fill=(0, 0, 0))
    return np.asarray(image)


def to_uint8(picture: NDArray[np.float32]) -> Frame:
    """Grey levels rounded and clipped to bytes."""
    return picture.clip(0, 255).round().astype(np.uint8)


def _flights(seed: int, rate: float, second: int) -> list[_Flight]:
    """The flights that begin within that second. One in six comes close to the lens: it is large,
    out of focus, and stays longer.
    """
    rng = np.random.default_rng([seed, max(second, 0), 5])
    return [_flight(rng, second) for _ in range(rng.poisson(rate) if second >= 0 else 0)]


def _flight(rng: np.random.Generator, second: int) -> _Flight:
    close = rng.random() < 1 / 6
    start = second + rng.random()
    duration = rng.uniform(0.4, _MAX_FLIGHT_S) if close else rng.uniform(0.05, 0.3)
    x, y, angle = rng.uniform(0.1, 0.9), rng.uniform(0.05, 0.5), rng.uniform(0, 2 * np.pi)
    speed = rng.uniform(0.3, 0.8) if close else rng.uniform(0.5, 2.5)
    radius = rng.uniform(0.015, 0.03) if close else rng.uniform(0.003, 0.01)
    velocity = speed * np.cos(angle), speed * np.sin(angle)
    return _Flight(start, start + duration, x, y, *velocity, radius, rng.uniform(60, 140))


def _draw_streak(picture: NDArray[np.float32], flight: _Flight, t: float) -> None:
    """Add the streak of one exposure that ends at `t`: brightness falls with the distance from the
    line that was flown.
    """
    height, width = picture.shape[:2]
    age = t - flight.start
    tail = max(age - _EXPOSURE_S, 0.0)
    length = age - tail
    # Distance of each pixel from the segment, in shares of the width.
    x = (np.arange(width, dtype=np.float32) + 0.5) / width - (flight.x + tail * flight.dx)
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) / width - (flight.y + tail * flight.dy)
    flown = length * flight.dx, length * flight.dy
    square = max(flown[0] ** 2 + flown[1] ** 2, 1e-9)
    share = np.clip((x * flown[0] + y * flown[1]) / square, 0, 1)
    distance = (x - share * flown[0]) ** 2 + (y - share * flown[1]) ** 2
    picture += (flight.glow * np.exp(-distance / (2 * flight.radius**2)))[..., None]
