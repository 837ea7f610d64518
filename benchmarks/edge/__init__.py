"""Edge benchmark: the cost of change detection, and its recall against ground truth."""
