"""Limits and accounts of the engine: memory, device time and counted operations."""
