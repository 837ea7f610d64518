"""Recorded video in an object store: segments, their index rows, upload, and clips."""
