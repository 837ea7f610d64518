"""Paged keys and values of all streams, and attention over many sequences in one call."""
