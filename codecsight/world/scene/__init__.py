"""Scenes: places, actors, effects, light and the camera's view."""
