"""Recording of packets to segment files, and recovery of what a killed recorder left."""
