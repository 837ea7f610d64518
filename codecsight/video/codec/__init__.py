"""Decoding of packets into frames and codec signals, and encoding."""
