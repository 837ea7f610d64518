"""Deciding which cells of a picture changed since they were last shipped."""

ANCHOR_EVERY = 4
"""Of so many slots one is an anchor unless another rhythm is asked for: docs/accuracy.md says why.
"""
