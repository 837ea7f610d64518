"""Opens a container, also where a web server says too little for FFmpeg to recognise it."""

import errno

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from codecsight.video.capture.files.pipe import PipeReader


def open_container(
    url: str | PipeReader,
    options: dict[str, str] | None,
    timeouts: tuple[float, float] | None,
    container_format: str | None = None,
) -> InputContainer:
    """Open `url`, as `container_format` if that is known. Raises FFmpegError.

    Some web cameras begin a series of JPEG pictures without the first boundary, and others send a
    snapshot without its length. FFmpeg recognises these only when it is told the format.
    """
    try:
        return av.open(url, "r", container_format, options=options, timeout=timeouts)
    except FFmpegError as error:
        other_format = _format_to_try(url, error)
        if other_format in (None, container_format):
            raise
        container = _open_as(other_format, url, options, timeouts)
        if container is None:
            raise
        return container


def is_http(url: str | PipeReader) -> bool:
    """Whether it is read over HTTP."""
    return isinstance(url, str) and url.startswith(("http:", "https:"))


def _format_to_try(url: str | PipeReader, error: FFmpegError) -> str | None:
    if not is_http(url):
        return None
    if isinstance(error, InvalidDataError):
        return "mjpeg"
    return "jpeg_pipe" if error.errno == errno.EIO else None


def _open_as(
    container_format: str,
    url: str | PipeReader,
    options: dict[str, str] | None,
    timeouts: tuple[float, float] | None,
) -> InputContainer | None:
    """The container, or None if it holds no picture of that format."""
    try:
        container = av.open(url, "r", container_format, options=options, timeout=timeouts)
    except FFmpegError:
        return None
    if any(stream.codec_context.width for stream in container.streams.video):
        return container
    container.close()
    return None
