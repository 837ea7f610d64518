"""Thin Ray actors around the library, without logic that needs Ray to be tested."""
