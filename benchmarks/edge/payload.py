"""Uplink bytes of kept cells, compared with other ways to send the same cells to the cloud.

All methods are compared at equal quality: PSNR of luma over the cells that the tracker shipped,
against the scaled pictures before any coding. The size of another method at our PSNR is
interpolated between the two nearest settings tried.
"""

import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.edge.accuracy import SPECS
from benchmarks.edge.world_clips import CONDITIONS, FIRST_TEST_SEED, TEST_FAMILIES, WorldClip
from codecsight.change.policies import TrackedPolicy
from codecsight.change.tracker import ChangeTracker
from codecsight.core.slot import ANCHOR_EVERY, Slot
from codecsight.patches.codec import PatchCodec
from codecsight.patches.cut import cut
from codecsight.patches.packing import pack
from codecsight.video.codec.decoder import decode_stream
from codecsight.video.codec.encoder import CameraEncoder, EncoderProfile
from codecsight.video.codec.resizer import Resizer

SPEC = SPECS[0]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Pictures = NDArray[np.uint8]
Shipped = list[tuple[Slot, Pictures]]
Coded = tuple[float, float]  # bytes, PSNR


def rows(quick: bool) -> list[dict[str, Any]]:
    """Bytes per second of every method, for each place."""
    size = (3.2, 640, 360) if quick else (16.0, 1280, 720)
    families = TEST_FAMILIES[:1] if quick else TEST_FAMILIES
    return [
        row
        for number, family in enumerate(families)
        for row in _methods(WorldClip(CONDITIONS[0], family, FIRST_TEST_SEED + number, *size))
    ]


def _methods(clip: WorldClip) -> list[dict[str, Any]]:
    _, packets = clip.encoded()
    shipped = _shipped(clip)
    size, psnr = _cells(shipped)
    methods: dict[str, Coded] = {
        "source stream": (sum(len(packet.data) for packet in packets), float("nan")),
        "kept cells (ours)": (size, psnr),
        "whole frames, JPEG": _at_equal_psnr(
            lambda q: _jpeg(shipped, round(q)), (95, 85, 70, 50), psnr
        ),
        "whole frames, x264": _at_equal_psnr(
            lambda crf: _x264(shipped, crf), (16, 22, 28, 34), psnr
        ),
    }
    return [
        {
            "clip": clip.name,
            "method": name,
            "bytes_per_second": round(size / clip.seconds),
            "psnr_on_shipped_cells": None if np.isnan(decibels) else round(decibels, 2),
        }
        for name, (size, decibels) in methods.items()
    ]


def _shipped(clip: WorldClip) -> Shipped:
    """The slots of a clip, with the whole pictures they were cut from."""
    grid = SPEC.fit(clip.width, clip.height)
    tracker = ChangeTracker(grid, TrackedPolicy(grid), ANCHOR_EVERY)
    resizer, shipped, pictures = Resizer(grid.width, grid.height), Shipped(), {}
    info, packets = clip.encoded()
    for frame in decode_stream([info, *packets]):
        pictures[frame.time] = resizer.rgb(frame)
        if (slot := tracker.feed(frame)) is not None:
            shipped.append((slot, np.stack([pictures[time] for time in slot.times])))
            pictures = {}
    return shipped


def _cells(shipped: Shipped) -> Coded:
    """Our method: mosaics of the kept cells."""
    codec, size, errors = PatchCodec(), 0, []
    for slot, _ in shipped:
        chunk = pack(slot, SPEC, "bench", codec)
        size += chunk.size
        decoded = codec.decode(chunk.mosaic, slot.kept_count, SPEC.frames, SPEC.cell)
        errors.append(_squared_error(decoded, slot.patches))
    return size, _psnr(errors)


def _jpeg(shipped: Shipped, quality: int) -> Coded:
    size, errors = 0, []
    for slot, pictures in shipped:
        coded = []
        for picture in pictures:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:4:4")
            size += file.tell()
            coded.append(np.asarray(Image.open(file)))
        errors.append(_squared_error(cut(np.stack(coded), slot.kept), slot.patches))
    return size, _psnr(errors)


def _x264(shipped: Shipped, crf: float) -> Coded:
    height, width = shipped[0][1].shape[1:3]
    profile = EncoderProfile(gop=ANCHOR_EVERY * SPEC.frames, crf=crf)
    encoder = CameraEncoder(width, height, SPEC.rate, profile)
    pictures = [picture for _, both in shipped for picture in both]
    packets = [
        packet
        for number, picture in enumerate(pictures)
        for packet in encoder.encode(picture, number / SPEC.rate, 0.0)
    ] + encoder.flush()
    resizer = Resizer(width, height)
    coded = [resizer.rgb(frame) for frame in decode_stream([encoder.info, *packets])]
    errors = [
        _squared_error(cut(np.stack(coded[2 * n : 2 * n + 2]), slot.kept), slot.patches)
        for n, (slot, _) in enumerate(shipped)
    ]
    return sum(len(packet.data) for packet in packets), _psnr(errors)


def _at_equal_psnr(code: Callable[[float], Coded], settings: Iterable[float], psnr: float) -> Coded:
    """Size of a method at `psnr`, by interpolation of log size between (or beyond) the two nearest
    settings tried.
    """
    results = sorted((code(setting) for setting in settings), key=lambda coded: coded[1])
    quality = np.array([each[1] for each in results])
    logs = np.log([each[0] for each in results])
    first = int(np.clip(np.searchsorted(quality, psnr) - 1, 0, len(results) - 2))
    slope = (logs[first + 1] - logs[first]) / (quality[first + 1] - quality[first])
    return float(np.exp(logs[first] + slope * (psnr - quality[first]))), psnr


def _squared_error(coded: Pictures, original: Pictures) -> tuple[float, int]:
    difference = (coded.astype(np.float32) - original).transpose(0, 1, 3, 4, 2) @ LUMA
    return float((difference**2).sum()), difference.size


def _psnr(errors: list[tuple[float, int]]) -> float:
    total, count = (sum(part) for part in zip(*errors, strict=True))
    return float(10 * np.log10(255**2 / max(total / count, 1e-9)))
