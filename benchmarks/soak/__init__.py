"""Soak benchmarks: isolation between streams, memory growth, overload."""
