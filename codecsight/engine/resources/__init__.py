"""What the engine may use: memory, device time, operations; checked before a stream is let in."""
