"""What goes over the wire, against other ways to bring the same cells to the cloud.

Every way shall look equally good where it matters: PSNR is taken on the brightness of the
cells that the tracker shipped, against the scaled pictures before any coding, and the others'
quality is chosen (between the nearest two tried) so that they equal ours.
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
    """Bytes per second of every way, in each of the places."""
    size = (3.2, 640, 360) if quick else (16.0, 1280, 720)
    families = TEST_FAMILIES[:1] if quick else TEST_FAMILIES
    return [
        row
        for number, family in enumerate(families)
        for row in _ways(WorldClip(CONDITIONS[0], family, FIRST_TEST_SEED + number, *size))
    ]


def _ways(film: WorldClip) -> list[dict[str, Any]]:
    _, packets = film.encoded()
    shipped = _shipped(film)
    size, psnr = _cells(shipped)
    ways: dict[str, Coded] = {
        "source stream": (sum(len(packet.data) for packet in packets), float("nan")),
        "kept cells (ours)": (size, psnr),
        "whole frames, JPEG": _equal(lambda q: _jpeg(shipped, round(q)), (95, 85, 70, 50), psnr),
        "whole frames, x264": _equal(lambda crf: _x264(shipped, crf), (16, 22, 28, 34), psnr),
    }
    return [
        {
            "clip": film.name,
            "method": name,
            "bytes_per_second": round(size / film.seconds),
            "psnr_on_shipped_cells": None if np.isnan(decibels) else round(decibels, 2),
        }
        for name, (size, decibels) in ways.items()
    ]


def _shipped(film: WorldClip) -> Shipped:
    """The slots of a film, with the whole pictures they were cut from."""
    grid = SPEC.fit(film.width, film.height)
    tracker = ChangeTracker(grid, TrackedPolicy(grid), ANCHOR_EVERY)
    resizer, shipped, seen = Resizer(grid.width, grid.height), Shipped(), {}
    info, packets = film.encoded()
    for frame in decode_stream([info, *packets]):
        seen[frame.time] = resizer.rgb(frame)
        if (slot := tracker.feed(frame)) is not None:
            shipped.append((slot, np.stack([seen[time] for time in slot.times])))
            seen = {}
    return shipped


def _cells(shipped: Shipped) -> Coded:
    """Ours: mosaics of the kept cells."""
    codec, size, errors = PatchCodec(), 0, []
    for slot, _ in shipped:
        chunk = pack(slot, SPEC, "bench", codec)
        size += chunk.size
        back = codec.decode(chunk.mosaic, slot.kept_count, SPEC.frames, SPEC.cell)
        errors.append(_squares(back, slot.patches))
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
        errors.append(_squares(cut(np.stack(coded), slot.kept), slot.patches))
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
        _squares(cut(np.stack(coded[2 * n : 2 * n + 2]), slot.kept), slot.patches)
        for n, (slot, _) in enumerate(shipped)
    ]
    return sum(len(packet.data) for packet in packets), _psnr(errors)


def _equal(code: Callable[[float], Coded], settings: Iterable[float], psnr: float) -> Coded:
    """The size at which a way is as good as ours, between (or beyond) the nearest two tried."""
    tried = sorted((code(setting) for setting in settings), key=lambda coded: coded[1])
    quality = np.array([each[1] for each in tried])
    logs = np.log([each[0] for each in tried])
    first = int(np.clip(np.searchsorted(quality, psnr) - 1, 0, len(tried) - 2))
    slope = (logs[first + 1] - logs[first]) / (quality[first + 1] - quality[first])
    return float(np.exp(logs[first] + slope * (psnr - quality[first]))), psnr


def _squares(coded: Pictures, original: Pictures) -> tuple[float, int]:
    difference = (coded.astype(np.float32) - original).transpose(0, 1, 3, 4, 2) @ LUMA
    return float((difference**2).sum()), difference.size


def _psnr(errors: list[tuple[float, int]]) -> float:
    total, count = (sum(part) for part in zip(*errors, strict=True))
    return float(10 * np.log10(255**2 / max(total / count, 1e-9)))
