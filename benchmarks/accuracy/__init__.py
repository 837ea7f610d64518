"""How well pruned, cached windows answer, beside whole ones and beside the truth."""
