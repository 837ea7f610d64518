"""Recorded footage of one stream, in the store and in the spool of its site."""
