"""Exact ground truth of a scene, and questions with their true answers."""
