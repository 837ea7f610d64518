"""CodecSight: vision-language models that watch many cameras, guided by the video codec."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("codecsight")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
