"""Change detection at the edge: which cells of a stream must be shipped.

This folder decides (tracker, sampler, policies); `measurement` only measures and imports nothing
from here.
"""
