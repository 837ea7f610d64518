"""Measurements and display of `codecsight doctor`."""
