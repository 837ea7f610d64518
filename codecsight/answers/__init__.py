"""Questions, and typed answers with their probability."""
