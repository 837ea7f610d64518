"""Decoder: frames and times, lost and damaged packets, motion interval, resolution changes."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from codecsight.core.errors import CodecSightError
from codecsight.core.packet import Packet, StreamInfo
from codecsight.video.capture.open import open_source
from codecsight.video.codec.decoder import Decoder, decode_stream
from codecsight.video.recording.segment_file import SegmentFile
from tests.video.scenes import START, decode, encode, moving_square, texture

SCENE = moving_square(30, (4, 0), (8, 80))


def read(path: Path) -> tuple[StreamInfo, list[Packet]]:
    info, *packets = open_source(str(path)).items()
    assert isinstance(info, StreamInfo)
    return info, [item for item in packets if isinstance(item, Packet)]


@pytest.mark.parametrize(
    ("clip", "kinds"),
    [("vtest_h264_10fps_gop50.mp4", {"I", "P"}), ("one_by_one.mp4", {"I", "P", "B"})],
)
def test_footage_decodes_completely_and_frames_match_their_packets(
    clips: Path, clip: str, kinds: set[str]
) -> None:
    info, packets = read(clips / clip)
    decoder = Decoder(info)
    sizes = {packet.time: len(packet.data) for packet in packets}
    times, types = [], set()
    for packet in [*packets, None]:
        frames = decoder.flush() if packet is None else decoder.decode(packet)
        for frame in frames:
            assert frame.signals.valid
            assert frame.signals.size == sizes[frame.time]
            times.append(frame.time)
            types.add(frame.signals.frame_type)
    assert len(packets) >= 795
    assert times == sorted(sizes)
    assert types == kinds
    assert not decoder.anomalies


@pytest.mark.parametrize("b_frames", [0, 3])
def test_a_frame_keeps_the_time_and_capture_time_of_its_packet(b_frames: int) -> None:
    info, packets = encode(SCENE, b_frames=b_frames)
    frames = decode(Decoder(info), packets)
    assert [frame.time for frame in frames] == pytest.approx(np.arange(30) / 25)
    assert [frame.capture_time - START for frame in frames] == pytest.approx(np.arange(30) / 25)


def test_decode_stream_flushes_at_the_end_and_restarts_at_each_stream_info() -> None:
    info, packets = encode(SCENE, b_frames=3)
    once = [frame.time for frame in decode_stream([packets[0], info, *packets])]
    assert once == pytest.approx(np.arange(30) / 25)
    twice = [frame.time for frame in decode_stream([info, *packets[:1], info, *packets])]
    assert twice[-30:] == once


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg4", "mjpeg"])
def test_pictures_equal_those_ffmpeg_decodes_from_a_file(codec: str, tmp_path: Path) -> None:
    info, packets = encode(SCENE, codec=codec)
    segment = SegmentFile(tmp_path / "scene.mkv", info, packets[0], "scene")
    for packet in packets:
        segment.write(packet)
    segment.close()
    with av.open(tmp_path / "scene.mkv") as file:
        expected = [picture.to_ndarray() for picture in file.decode(video=0)]
    found = [frame.picture.to_ndarray() for frame in decode(Decoder(info), packets)]
    assert len(found) == len(expected)
    for actual, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_without_b_frames_every_packet_returns_its_frame() -> None:
    info, packets = encode(SCENE)
    decoder = Decoder(info)
    assert [len(decoder.decode(packet)) for packet in packets] == [1] * 30


@pytest.mark.parametrize("b_frames", [0, 2])
def test_motion_is_extracted_at_the_requested_interval_and_unchanged(b_frames: int) -> None:
    info, packets = encode(SCENE, b_frames=b_frames, gop=12)
    full = decode(Decoder(info), packets)
    step = full[1].time - full[0].time
    half = decode(Decoder(info, lambda: 2 * step), packets)
    assert [frame.time for frame in half] == [frame.time for frame in full]
    for frame, other in zip(full, half, strict=True):
        assert frame.signals.extracted
        if not other.signals.extracted:
            assert other.signals.motion is None
        elif frame.signals.motion is None:
            assert other.signals.frame_type == "I"
        else:
            assert np.array_equal(other.signals.motion, frame.signals.motion)
    skipped = [frame for frame in half if not frame.signals.extracted]
    assert len(half) / 3 < len(skipped) <= len(half) / 2


def test_the_motion_interval_may_change_at_any_frame() -> None:
    info, packets = encode(SCENE, gop=50)
    interval_s = [0.0]
    decoder = Decoder(info, lambda: interval_s[0])
    first = [frame for packet in packets[:15] for frame in decoder.decode(packet)]
    interval_s[0] = 1e9
    second = [frame for packet in packets[15:] for frame in decoder.decode(packet)]
    assert all(frame.signals.extracted for frame in first)
    assert not any(frame.signals.extracted for frame in second[1:])


def test_packets_without_data_are_skipped_and_counted() -> None:
    info, packets = encode(SCENE)
    decoder = Decoder(info)
    frames = decode(decoder, [*packets[:5], replace(packets[5], data=b""), *packets[5:]])
    assert len(frames) == 30
    assert decoder.anomalies == {"packets without data": 1}


def test_signals_are_invalid_from_a_lost_reference_until_the_next_key_frame() -> None:
    info, packets = encode(SCENE, gop=10)
    decoder = Decoder(info)
    frames = decode(decoder, packets[:13] + packets[14:])
    invalid = [round(frame.time * 25) for frame in frames if not frame.signals.valid]
    assert invalid == list(range(14, 20))
    assert decoder.anomalies == {"packets lost": 1}


def test_a_lost_reference_is_detected_in_mp4_layout(clips: Path) -> None:
    info, packets = read(clips / "vtest_h264_10fps_gop50.mp4")
    decoder = Decoder(info)
    decode(decoder, packets[:60] + packets[61:120])
    assert decoder.anomalies == {"packets lost": 1}


def test_hevc_pictures_dropped_after_a_loss_are_counted() -> None:
    info, packets = encode(SCENE, codec="hevc", gop=10)
    decoder = Decoder(info)
    frames = decode(decoder, packets[:13] + packets[14:])
    assert {round(frame.time * 25) for frame in frames} == {*range(13), *range(20, 30)}
    assert all(frame.signals.valid for frame in frames)
    assert decoder.anomalies == {"frames not decoded": 6}


def test_a_lost_non_reference_picture_leaves_signals_valid() -> None:
    info, packets = encode(SCENE, b_frames=2)
    sizes = [len(packet.data) for packet in packets]
    order = [packet.pts for packet in packets]
    b_frame = next(n for n in range(5, 20) if order[n] < order[n - 1])  # type: ignore[operator]
    decoder = Decoder(info)
    frames = decode(decoder, packets[:b_frame] + packets[b_frame + 1 :])
    assert len(frames) == len(sizes) - 1
    assert not decoder.anomalies
    assert all(frame.signals.valid for frame in frames)


def test_a_packet_marked_corrupt_invalidates_signals() -> None:
    info, packets = encode(SCENE, gop=10)
    decoder = Decoder(info)
    packets[12] = replace(packets[12], corrupt=True)
    frames = decode(decoder, packets)
    invalid = [round(frame.time * 25) for frame in frames if not frame.signals.valid]
    assert invalid == list(range(12, 20))


def test_damaged_packets_are_counted_and_signals_recover_at_the_next_key_frame() -> None:
    info, packets = encode(SCENE, gop=10)
    decoder = Decoder(info)
    packets[3] = replace(packets[3], data=b"\x00\x00\x00\x01\x41garbage" * 20)
    packets[4] = replace(packets[4], data=b"no start code at all")
    frames = decode(decoder, packets)
    valid = {round(frame.time * 25) for frame in frames if frame.signals.valid}
    assert valid.isdisjoint(range(3, 10))
    assert valid.issuperset({0, 1, 2, *range(10, 30)})
    assert sum(decoder.anomalies.values()) >= 2


def test_a_change_of_resolution_gives_frames_of_the_new_size() -> None:
    info, small = encode([texture(96, 128, 1)] * 5)
    _, large = encode([texture(144, 192, 1)] * 5)
    later = [replace(packet, pts=(packet.pts or 0) + 90_000) for packet in large]
    frames = decode(Decoder(info), small + later)
    assert [(frame.width, frame.height) for frame in frames] == [(128, 96)] * 5 + [(192, 144)] * 5
    motion = frames[-1].signals.motion
    assert motion is not None
    assert motion.shape == (9, 12, 2)


def test_frames_before_the_first_timestamp_are_dropped_and_counted() -> None:
    info, packets = encode(SCENE)
    untimed = [replace(packet, pts=None, dts=None) for packet in packets[:2]]
    decoder = Decoder(info)
    frames = decode(decoder, untimed + packets[2:])
    assert [round(frame.time * 25) for frame in frames] == list(range(2, 30))
    assert decoder.anomalies == {"frames without a time": 2}


def test_a_frame_without_a_timestamp_gets_its_time_from_the_capture_time() -> None:
    info, packets = encode(SCENE)
    packets[10] = replace(packets[10], pts=None, dts=None)
    frames = decode(Decoder(info), packets)
    assert [frame.time for frame in frames] == pytest.approx(np.arange(30) / 25)


def test_frame_times_strictly_increase() -> None:
    info, packets = encode(SCENE)
    for index in (10, 11, 12):
        packets[index] = replace(packets[index], pts=packets[3].pts, dts=packets[3].dts)
    decoder = Decoder(info)
    times = [frame.time for frame in decode(decoder, packets)]
    assert len(times) == 30
    assert all(later > earlier for earlier, later in pairwise(times))
    assert decoder.anomalies == {"frames out of order": 3}


def test_a_decoder_can_be_used_after_a_flush() -> None:
    info, packets = encode(SCENE, gop=10, b_frames=2)
    decoder = Decoder(info)
    first = decode(decoder, packets[:10])
    key = next(n for n in range(10, 30) if packets[n].keyframe)
    second = decode(decoder, packets[key:])
    assert first
    assert second[0].time > first[-1].time


def test_an_unknown_codec_is_rejected_by_name() -> None:
    info = StreamInfo("no-such-codec", b"", 64, 64, 25.0, Fraction(1, 90_000))
    with pytest.raises(CodecSightError, match="no-such-codec"):
        Decoder(info)
