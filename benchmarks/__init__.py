"""Benchmarks behind the figures in README and docs; peers are measured in the same run."""
