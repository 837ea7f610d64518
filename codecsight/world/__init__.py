"""Procedural CCTV with exact ground truth: demo cameras, test input, training data."""
