"""Local socket feed from a recording process to the process that analyses its stream."""
