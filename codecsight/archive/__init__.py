"""Recorded video: the spool on the edge's disk, the object store, index rows, upload, and clips."""
