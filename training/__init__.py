"""Training of the default checkpoint: a tiny Qwen3-VL on the procedural world, from scratch."""
