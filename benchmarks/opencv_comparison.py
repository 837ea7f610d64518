"""`python -m benchmarks.opencv_comparison`: our compiled pixel loops beside OpenCV's.

Needs `pip install opencv-python-headless`, which CodecSight itself does not. One thread each, calls
interleaved, medians. Times are given as ratios to ours within the run. `error` is the root mean
square difference in grey levels between both results, away from the borders.

OpenCV differs in what it computes: its bicubic kernel has a = -0.75 where ours has -0.5
(Catmull-Rom), `warpAffine` rounds positions to 1/32 pixel, and nothing in it returns how much of
each pixel is visible, so that is warped as a plane of its own.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.record import record
from codecsight.change.measurement.exposure import Exposure
from codecsight.change.measurement.pixel_difference import difference_planes
from codecsight.change.measurement.warp import translation, warp

HEIGHT, WIDTH = 288, 512  # the model input of a wide picture
REPEATS = 60
INNER = np.s_[20:-20, 20:-20]
YUV = np.array(
    [[0.299, 0.587, 0.114], [0.5, -0.418688, -0.081312], [-0.168736, -0.331264, 0.5]], np.float32
)
Array = NDArray[Any]
Call = Callable[[], Any]


def main() -> None:
    """Run and write `results/opencv.json`."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.opencv_comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    rows = [_warp(rng, "shift", translation(9.6, 8.3)), _warp(rng, "roll", _roll(0.01))]
    rows.append(_difference(rng))
    print(record("opencv", {"opencv": cv2.__version__, "size": [HEIGHT, WIDTH], "rows": rows}))


def _warp(rng: np.random.Generator, name: str, motion: Array) -> dict[str, Any]:
    """One plane, and how much of each of its pixels is visible."""
    plane, visible = _smooth(rng), np.ones((HEIGHT, WIDTH), np.float32)
    out = np.empty((1, HEIGHT, WIDTH), np.float32)
    half = translation(0.5, 0.5)  # OpenCV's coordinates are those of pixel centres
    matrix = (np.linalg.inv(half) @ motion @ half)[:2]

    def theirs(image: Array, kernel: int) -> Array:
        flags = kernel | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=1)
        return np.asarray(warped)

    def both() -> Array:
        theirs(visible, cv2.INTER_LINEAR)
        return theirs(plane, cv2.INTER_CUBIC)

    row = _compare(f"warp, {name}", lambda: warp(plane[None], visible, motion, out), both)
    return row | {"error": _rms(out[0], both())}


def _difference(rng: np.random.Generator) -> dict[str, Any]:
    """Smoothed differences of brightness and colour of two pictures."""
    new = np.stack([_smooth(rng) for _ in range(3)], -1).astype(np.uint8)
    old = np.clip(new + rng.integers(-6, 7, new.shape), 0, 255).astype(np.uint8)

    def theirs() -> tuple[Array, Array]:
        difference = cv2.subtract(new, old, dtype=cv2.CV_16S)
        smooth = cv2.blur(difference, (3, 3), borderType=cv2.BORDER_REPLICATE)
        luma, red, blue = cv2.split(cv2.transform(smooth.astype(np.float32), YUV))
        return luma, cv2.max(cv2.absdiff(red, 0), cv2.absdiff(blue, 0))

    def ours() -> Array:
        return difference_planes(new, old, Exposure(1.0, 0.0), 1.0)[0]

    return _compare("difference of two pictures", ours, theirs) | {
        "error": _rms(ours()[0], theirs()[0])
    }


def _compare(name: str, ours: Call, theirs: Call) -> dict[str, Any]:
    ours(), theirs()
    times: dict[Call, list[float]] = {ours: [], theirs: []}
    for _ in range(REPEATS):
        for call in (ours, theirs):
            started = time.perf_counter()
            call()
            times[call].append(time.perf_counter() - started)
    ratio = statistics.median(times[theirs]) / statistics.median(times[ours])
    return {"what": name, "opencv_time_ratio": round(ratio, 2)}


def _smooth(rng: np.random.Generator) -> Array:
    """A random picture without the finest detail, which no interpolation can restore; 0 to 255."""
    blurred = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), 2.5)
    low, high = blurred.min(), blurred.max()
    return np.asarray((blurred - low) / (high - low) * 255, np.float32)


def _roll(angle: float) -> Array:
    """Rotation by `angle` radians with a small shift."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 3.3], [sin, cos, -2.7], [0.0, 0.0, 1.0]])


def _rms(one: Array, other: Array) -> float:
    return round(float(np.sqrt(np.mean((one[INNER] - other[INNER]) ** 2))), 3)


if __name__ == "__main__":
    main()
