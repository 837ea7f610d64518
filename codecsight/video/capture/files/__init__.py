"""Files on this machine: their paths and URLs, pipes, and times where a format has none."""
