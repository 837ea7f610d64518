"""The naive twin, by which the engine is proved."""
