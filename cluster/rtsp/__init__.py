"""An RTSP server on loopback that plays files, for the demo and for tests."""
