"""Damaged files and packets: errors are counted, and nothing crashes or hangs."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codecsight.core.packet import StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.capture.source import SourceError
from codecsight.video.codec.bitstream import H264HeaderParser
from codecsight.video.codec.decoder import Decoder
from tests.video.scenes import decode, encode, moving_square, write_video

SCENE = moving_square(25, (4, 0), (8, 80))
FORMATS = ["mp4", "mkv", "ts", "flv", "avi"]


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A file with bits flipped, bytes deleted or bytes inserted, mostly after its header."""
    result = bytearray(data)
    for _ in range(rng.choice([1, 5, 50])):
        at = rng.randrange(rng.choice([0, len(result) // 4]), len(result))
        match rng.randrange(3):
            case 0:
                result[at] ^= 1 << rng.randrange(8)
            case 1:
                del result[at : at + rng.randrange(1, 200)]
            case _:
                result[at:at] = rng.randbytes(rng.randrange(1, 200))
    return bytes(result)


def read_file(path: Path) -> tuple[int, Counter[str]]:
    """Number of frames and anomalies of a file, read to its end."""
    source = open_source(str(path))
    anomalies: Counter[str] = Counter()
    frames, decoder = 0, None
    for item in source.items():
        if isinstance(item, StreamInfo):
            decoder = Decoder(item)
        elif decoder is not None:
            frames += len(decoder.decode(item))
    if decoder is not None:
        frames += len(decoder.flush())
        anomalies += decoder.anomalies
    return frames, anomalies + source.anomalies


def test_damaged_files_are_rejected_or_read_with_counted_errors(tmp_path: Path) -> None:
    """Of forty randomly damaged files, at least half yield frames."""
    decoded = counted = 0
    for container in FORMATS:
        codec = "mpeg4" if container == "avi" else "libx264"
        intact = write_video(tmp_path / f"intact.{container}", SCENE, codec=codec, g="5")
        path = tmp_path / f"damaged.{container}"
        for seed in range(8):
            path.write_bytes(damaged(intact.read_bytes(), random.Random(seed)))
            try:
                frames, anomalies = read_file(path)
            except SourceError:
                continue
            assert frames <= 2 * len(SCENE)
            decoded += frames > 0
            counted += bool(anomalies)
    assert decoded >= 20
    assert counted >= 5


@pytest.mark.parametrize("codec", ["h264", "mpeg4"])
def test_damaged_packets_affect_signals_only_until_the_next_key_frame(codec: str) -> None:
    info, packets = encode(SCENE, codec=codec, gop=5)
    rng = random.Random(codec)
    for index in range(2, 25, 5):
        size = len(packets[index].data)
        noise = rng.randbytes(size - size // 2)
        packets[index] = replace(packets[index], data=packets[index].data[: size // 2] + noise)
    decoder = Decoder(info)
    frames = decode(decoder, packets)
    assert len(frames) >= 20
    assert decoder.anomalies
    keys = [frame for frame in frames if frame.signals.frame_type == "I"]
    assert len(keys) >= 5
    assert all(frame.signals.valid for frame in keys)
    assert any(not frame.signals.valid for frame in frames)


def test_a_decoder_accepts_any_extradata() -> None:
    _, packets = encode(SCENE[:6])
    base = StreamInfo("h264", b"", 320, 240, 25.0, packets[0].time_base)
    for extradata in (b"\x01", b"\x01" * 40, b"\x00\x00\x01\x67", bytes(64), b"\xff" * 64):
        decoder = Decoder(replace(base, extradata=extradata))
        decode(decoder, packets)


@given(extradata=st.binary(max_size=80), data=st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_the_header_parser_accepts_any_bytes(extradata: bytes, data: bytes) -> None:
    headers = H264HeaderParser(extradata)
    for packet in (data, b"\x00\x00\x01\x67" + data, b"\x00\x00\x00\x01\x41" + data):
        slice_header = headers.parse_first_slice(packet)
        assert slice_header is None or 0 <= slice_header.frame_num < headers.modulus
