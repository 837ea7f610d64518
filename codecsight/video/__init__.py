"""Capture and recording of video streams, and decoding into frames with codec signals."""
