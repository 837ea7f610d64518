"""Deciding which cells of a picture changed since they were last shipped."""
