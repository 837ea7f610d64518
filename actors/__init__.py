"""Thin Ray shells around the library: no logic here that can't be tested without Ray."""
