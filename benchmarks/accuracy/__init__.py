"""Answer quality of pruned, cached windows, against whole windows and the ground truth."""
