"""The values that travel between folders, and the errors a user reads; imports nothing of ours."""
