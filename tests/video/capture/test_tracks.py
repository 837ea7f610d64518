"""Which of several video tracks is read."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from codecsight.core.packet import StreamInfo
from codecsight.video.capture.open import open_source


@pytest.mark.parametrize(("default", "width"), [((), 64), ((0,), 64), ((1,), 96), ((0, 1), 64)])
def test_the_default_video_track_is_read(
    tmp_path: Path, default: tuple[int, ...], width: int
) -> None:
    path = tmp_path / "two.mkv"
    options = {"default_mode": "passthrough"}
    with av.open(str(path), "w", options=options) as container:
        streams = []
        for index, pixels in enumerate((64, 96)):
            stream = container.add_stream("h264", rate=10)
            stream.width, stream.height = pixels, 64
            stream.disposition = Disposition.default if index in default else Disposition(0)
            streams.append(stream)
        for index in range(3):
            for stream in streams:
                picture = np.full((64, stream.width, 3), 40 * index, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture)
                frame.pts, frame.time_base = index, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    info = next(iter(open_source(str(path)).items()))
    assert isinstance(info, StreamInfo)
    assert info.width == width
