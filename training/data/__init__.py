"""Training windows and batches, drawn from the procedural world."""
