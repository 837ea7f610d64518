"""Cutting cells out of pictures, and coding them for the wire."""
