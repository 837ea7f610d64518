"""Scores of the accuracy benchmark."""
