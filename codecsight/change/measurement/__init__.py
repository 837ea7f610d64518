"""Measuring change: codec evidence, camera motion, exposure and pixel differences per cell."""
