"""A KV pool that all streams share, and attention over packed sequences that reads from it."""
