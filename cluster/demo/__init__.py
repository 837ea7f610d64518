"""The demo: four cameras, a site and a cloud on one machine, through every real part."""
