"""Recorded video: spool on the edge's disk, object store, index rows, upload and clip export."""
