"""A naive reference engine: the tests compare the engine's answers and counts with it."""
