"""Stream protocol between a site and the cloud as state machines without I/O."""
