"""From a camera to packets: sources, recording, and the feed to other processes."""
