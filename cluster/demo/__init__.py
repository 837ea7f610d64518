"""The demo: a site with four cameras and a cloud on one machine, with all production parts."""
