"""Measuring: camera transform, warping, resampling and pixel differences."""
