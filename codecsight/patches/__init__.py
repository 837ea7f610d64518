"""Cells of pictures: cutting them out, coding them, and packing them into chunks."""
