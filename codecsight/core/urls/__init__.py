"""Addresses and URLs: what they mean, and errors that say which form is expected."""
