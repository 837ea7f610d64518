"""How the default checkpoint is made: a tiny Qwen3-VL, trained from nothing on the world."""
