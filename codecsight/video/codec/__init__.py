"""From packets to frames and codec signals, and back."""
