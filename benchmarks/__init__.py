"""What README claims, re-runnable, each number with its peers in the same run."""
