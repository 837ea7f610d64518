"""What finding change costs at the edge, and how much of it is found."""
