"""A KV window per stream: what is prefilled, kept, refreshed and asked."""
