"""Scenes with known motion, and video files of them."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from codecsight.core.frame import Frame
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.codec.decoder import Decoder
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile

WIDTH, HEIGHT, RATE = 320, 240, 25.0
SIDE = 64
START = 1_800_000_000.0

Picture = NDArray[np.uint8]


def texture(height: int, width: int, seed: int) -> Picture:
    """A smooth random pattern for motion search to lock on to, uint8 [height, width, 3]."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height // 8 + 2, width // 8 + 2, 3))
    y, x = np.arange(height) / 8, np.arange(width) / 8
    rows, cols = y.astype(int), x.astype(int)
    dy, dx = (y - rows)[:, None, None], (x - cols)[None, :, None]
    top = noise[rows][:, cols] * (1 - dx) + noise[rows][:, cols + 1] * dx
    low = noise[rows + 1][:, cols] * (1 - dx) + noise[rows + 1][:, cols + 1] * dx
    return (top * (1 - dy) + low * dy).astype(np.uint8)


def moving_square(count: int, step: tuple[int, int], start: tuple[int, int]) -> list[Picture]:
    """A textured square that moves by `step` pixels (x, y) per frame over a textured wall."""
    wall, square = texture(HEIGHT, WIDTH, 1), texture(SIDE, SIDE, 2)
    pictures = []
    for index in range(count):
        x, y = start[0] + step[0] * index, start[1] + step[1] * index
        picture = wall.copy()
        picture[y : y + SIDE, x : x + SIDE] = square
        pictures.append(picture)
    return pictures


def encode(
    pictures: Iterable[Picture], rate: float = RATE, **profile: Any
) -> tuple[StreamInfo, list[Packet]]:
    """Encode pictures as a camera does; the capture time of stream second 0 is START."""
    encoder: CameraEncoder | None = None
    packets: list[Packet] = []
    for index, picture in enumerate(pictures):
        height, width, _ = picture.shape
        encoder = encoder or CameraEncoder(width, height, rate, EncoderProfile(**profile))
        packets += encoder.encode(picture, index / rate, START + index / rate)
    if encoder is None:
        raise ValueError("no pictures")
    return encoder.info, packets + encoder.flush()


def decode(decoder: Decoder, packets: Iterable[Packet]) -> list[Frame]:
    """Decode packets into all their frames."""
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    return frames + decoder.flush()


def write_video(
    path: Path, pictures: Iterable[Picture], rate: int = 25, codec: str = "libx264", **options: str
) -> Path:
    """Write the pictures to a file, in the format of its suffix."""
    stream: Any = None
    with av.open(str(path), "w") as container:
        for index, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options)
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
