"""Baselines of the accuracy benchmark: recomputed windows, CacheBlend, answers without a model."""
