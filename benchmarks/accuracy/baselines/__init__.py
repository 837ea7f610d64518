"""Baselines for the accuracy benchmark."""
