"""CodecSight: vision-language models that watch many cameras, guided by the video codec."""

__version__ = "0.1.0"
