"""Density benchmark: streams per device and time to the first token, against other systems."""
