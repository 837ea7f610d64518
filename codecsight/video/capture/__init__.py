"""Sources of packets, their recording to disk, and the feed to other processes."""
