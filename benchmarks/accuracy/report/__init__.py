"""Tables and the plot made from the accuracy result."""
