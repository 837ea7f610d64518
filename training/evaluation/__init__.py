"""Accuracy, descriptions and calibration of a checkpoint."""
