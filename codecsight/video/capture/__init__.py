"""Sources of packets, the recording process, and the feed to other processes."""
