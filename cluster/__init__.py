"""Topology: what runs where on one machine, at a site, in the cloud."""
