"""Supervision of child processes: start, watch, restart with back-off, give up, stop."""
